"""From tokens to checkpoints: one job per segment of a run.

A job trains in a folder under ``state/`` whose name is a digest of everything the result
depends on, resumes there after any death, and moves the finished segment to its place at the
end. The folder of checkpoints is an ``ancient`` input of what reads it: its manifest, which
holds a digest of every file, is what makes a reader stale.
"""


rule train:
    """Train the steps of one segment, starting from the segment before it."""
    input:
        unpack(previous_segment),
        tokens=lambda wildcards: token_manifest(wildcards.run),
        token_files=lambda wildcards: ancient(token_folder(wildcards.run)),
    output:
        checkpoints=directory(f"{RESULTS}/training/{{run}}/{{segment}}"),
        manifest=f"{RESULTS}/training/{{run}}/{{segment}}.manifest.json",
        steps=f"{RESULTS}/training/{{run}}/{{segment}}.steps.csv",
        lineage=f"{LINEAGE}/training/{{run}}/{{segment}}.json",
    log:
        f"{LOGS}/training/{{run}}/{{segment}}.log",
        throughput=f"{LOGS}/training/{{run}}/{{segment}}.throughput.csv",
    threads: THREADS
    resources:
        **needs("train", gpu=True),
    params:
        code=lambda wildcards: stepping_code("train.py", wildcards.run),
        packages=packages("torch", "ai2-olmo", "numpy", "safetensors"),
        threads=THREADS,
        data_order={"data_seed": EXPERIMENT.data_seed},
        run=lambda wildcards: PLAN.segment_settings(
            wildcards.run, Segment.parse(wildcards.segment)
        ).model_dump(mode="json"),
        tokenizer=lambda wildcards: PLAN.corpus(wildcards.run).tokenizer.model_dump(
            mode="json"
        ),
        state=f"{RESULTS}/state/training/{{run}}/{{segment}}",
    message:
        "Training {wildcards.run}, steps {wildcards.segment}"
    script:
        "../scripts/train.py"
