"""Whether what is there is what the lineage records say, and what the project would make now.

``zsl audit`` reads and never writes: :mod:`zsl.audit.records` reads the chain of records,
:mod:`zsl.audit.hashing` hashes files, :mod:`zsl.audit.planned` asks Snakemake what it would do,
:mod:`zsl.audit.judge` compares all three, :mod:`zsl.audit.study` checks the study as a whole.
"""
