"""Where every artifact came from.

A job writes one record (``record``): the digests of what it read and wrote (``artifacts``), its
settings, the code that counted (``fingerprint``, ``syntax``), packages (``pins``) and machine. Jobs
keep every record for ever under its digest (``history``); ``root`` is the one digest of them all.
Whoever asks reads the records by ``store``, which checks their form and finds makers and raw files.
"""
