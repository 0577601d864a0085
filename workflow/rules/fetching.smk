"""Checkpoints that others made: fetched, measured, and dropped.

A folder of checkpoints is a temporary output: Snakemake removes it once everything is measured
that is asked for. That not more of them lie on the disk than the configuration allows is an order
of jobs: a checkpoint is fetched after those that lie so many places before it were dropped.
"""


rule fetch:
    """Fetch checkpoints of others by commit and digest, and convert them."""
    input:
        files=lambda wildcards: source_files(wildcards.run, wildcards.segment),
        after=fetched_after,
    output:
        checkpoints=temporary(directory(f"{RESULTS}/checkpoints/{{run}}/{{segment}}")),
        manifest=f"{RESULTS}/checkpoints/{{run}}/{{segment}}.manifest.json",
        lineage=f"{LINEAGE}/checkpoints/{{run}}/{{segment}}.json",
    log:
        f"{LOGS}/checkpoints/{{run}}/{{segment}}.log",
    wildcard_constraints:
        run=any_of(FETCHED),
    threads: THREADS
    resources:
        **needs("fetch"),
    params:
        code=code("fetch.py"),
        packages=packages("torch", "ai2-olmo", "safetensors"),
        threads=THREADS,
        steps=lambda wildcards: list(
            PLAN.layout(wildcards.run).blocks[wildcards.segment]
        ),
        source=lambda wildcards: source_of(wildcards.run, wildcards.segment),
        model=lambda wildcards: {"parameters": size(wildcards.run)},
        state=f"{RESULTS}/state/checkpoints/{{run}}/{{segment}}",
    message:
        "Fetching {wildcards.run}, {wildcards.segment}"
    script:
        "../scripts/fetch.py"


rule drop:
    """Note that a fetched checkpoint was measured, and is needed no more."""
    input:
        dropped_after,
    output:
        touch(f"{RESULTS}/state/dropped/{{run}}/{{segment}}"),
    log:
        f"{LOGS}/dropped/{{run}}/{{segment}}.log",
    wildcard_constraints:
        run=any_of(FETCHED),
    localrule: True
    threads: 1
    message:
        "Dropped {wildcards.run}, {wildcards.segment}"


rule faults:
    """Checkpoints of a run with equal weights, in a wrong order, or not where they should be."""
    input:
        lambda wildcards: ancient(
            [
                segment_manifest(wildcards.run, segment)
                for segment in PLAN.layout(wildcards.run).segments
            ]
        ),
    output:
        json=f"{RESULTS}/checkpoints/{{run}}.faults.json",
        lineage=f"{LINEAGE}/checkpoints/{{run}}.faults.json",
    log:
        f"{LOGS}/checkpoints/{{run}}.faults.log",
    wildcard_constraints:
        run=any_of(FETCHED),
    threads: 1
    resources:
        **needs("faults"),
    params:
        code=code("faults.py"),
        packages=packages("numpy"),
        source=lambda wildcards: [
            source_of(wildcards.run, segment.name)
            for segment in PLAN.layout(wildcards.run).segments
        ],
    message:
        "Faults of the checkpoints of {wildcards.run}"
    script:
        "../scripts/faults.py"
