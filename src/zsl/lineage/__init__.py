"""Where every artifact came from: code fingerprints, digests and records."""
