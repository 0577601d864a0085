"""From text to packed tokens: one job per corpus, and one per file of published curves.

The folder of tokens is an ``ancient`` input of what reads it; its manifest, which holds a
digest of every file, is what makes a reader stale. Downloads resume under ``state/``.
"""


rule tokens:
    """Read the sources of a corpus, train or take its tokenizer, hold out, pack."""
    input:
        lambda wildcards: local_files(wildcards.corpus),
    output:
        folder=directory(f"{RESULTS}/data/{{corpus}}/tokens"),
        tokenizer=f"{RESULTS}/data/{{corpus}}/tokenizer.json",
        manifest=f"{RESULTS}/data/{{corpus}}/manifest.json",
        lineage=f"{LINEAGE}/data/{{corpus}}/manifest.json",
    log:
        f"{LOGS}/data/{{corpus}}.log",
    threads: 8
    resources:
        **needs("tokens"),
    params:
        code=code("tokens.py"),
        packages=packages("ai2-olmo", "datasets", "numpy", "tokenizers"),
        corpus=lambda wildcards: EXPERIMENT.corpora[wildcards.corpus].model_dump(
            mode="json"
        ),
        state=f"{RESULTS}/state/data/{{corpus}}",
    message:
        "Tokens of corpus {wildcards.corpus}"
    script:
        "../scripts/tokens.py"


rule published_curves:
    """Download a file of loss curves, checked by its digest, which is its name."""
    output:
        file=f"{RESULTS}/data/published/{{sha256}}",
        lineage=f"{LINEAGE}/data/published/{{sha256}}.json",
    log:
        f"{LOGS}/data/published/{{sha256}}.log",
    wildcard_constraints:
        sha256=any_of(DOWNLOADED),
    threads: 1
    resources:
        **needs("published_curves"),
    params:
        code=code("published_curves.py"),
        source=lambda wildcards: DOWNLOADED[wildcards.sha256].model_dump(
            mode="json", include={"url", "sha256"}
        ),
        state=f"{RESULTS}/state/data/published",
    message:
        "Published loss curves"
    script:
        "../scripts/published_curves.py"
