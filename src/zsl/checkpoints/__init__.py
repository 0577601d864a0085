"""Checkpoints that were made elsewhere, up to folders as ours are."""
