"""From text to packed tokens: one job per corpus, and one per file of published curves.

The folder of tokens is an ``ancient`` input of what reads it; its manifest, which holds a
digest of every file, is what makes a reader stale. Downloads resume under ``state/``.
"""


rule tokens:
    """Read the sources of a corpus, train or take its tokenizer, hold out, pack."""
    input:
        lambda wildcards: local_files(wildcards.corpus),
    output:
        folder=directory(RESULTS + "/data/{corpus}/tokens"),
        tokenizer=RESULTS + "/data/{corpus}/tokenizer.json",
        manifest=RESULTS + "/data/{corpus}/manifest.json",
        lineage=LINEAGE + "/data/{corpus}/manifest.json",
    log:
        LOGS + "/data/{corpus}.log",
    params:
        code=code("tokens.py"),
        packages=packages("ai2-olmo", "datasets", "numpy", "tokenizers"),
        corpus=lambda wildcards: EXPERIMENT.corpora[wildcards.corpus].model_dump(mode="json"),
        state=RESULTS + "/state/data/{corpus}",
    threads: 8
    message:
        "Tokens of corpus {wildcards.corpus}"
    script:
        "../scripts/tokens.py"


rule published_curves:
    """Download the authors' smoothed loss curves, checked by their digest."""
    output:
        json=RESULTS + "/data/published/{suite}.json",
        lineage=LINEAGE + "/data/published/{suite}.json",
    log:
        LOGS + "/data/published/{suite}.log",
    params:
        code=code("published_curves.py"),
        source=lambda wildcards: published_source(wildcards.suite),
        state=RESULTS + "/state/data/published",
    threads: 1
    message:
        "Published loss curves of suite {wildcards.suite}"
    script:
        "../scripts/published_curves.py"
