"""Whether results can be trusted, and why they are what they are.

An audit gathers what there is, once: the records (:mod:`zsl.lineage.store`), the digest of every
file (``disk``), and the jobs that Snakemake would run now (``planned``). It says something of each
record (``chain``: is it one that a job wrote?), of each artifact (``judge``: are its bytes those
recorded, and would it be made so again?), of each raw file (``sources``), and of the study as a
whole (``study``, ``training``). ``run`` does all this, ``say`` words it, ``mend`` gives the one
command that mends what was found, ``retrained`` says what Snakemake would do for nothing, and
``roots`` reads what is held elsewhere.

``zsl lineage``, ``explain`` and ``reproduce`` are views of the same records.
"""
