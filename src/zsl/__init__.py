"""Zero-sum learning: loss deceleration in language models, measured from text to figures.

One package per stage of the workflow, named as its rule file and its results folder:
``data`` -> ``training`` -> ``measurements`` -> ``curves`` -> ``fits`` -> ``tables`` and
``figures``, with a ``lineage`` record beside every artifact. The library knows nothing of
Snakemake; each stage can be used alone.
"""

__version__ = "0.1.0"
