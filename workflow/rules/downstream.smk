"""From checkpoints to the accuracy on multiple-choice tasks (B.3), of the runs of Fig. 17."""


rule downstream:
    """The log-likelihood of every choice of the tasks' items at the checkpoints of a block."""
    input:
        unpack(block_checkpoints),
        tokenizer=lambda wildcards: (
            f"{RESULTS}/data/{PLAN.runs[wildcards.run].corpus}/tokenizer.json"
        ),
    output:
        h5=f"{RESULTS}/measurements/downstream/{{run}}/{{block}}.h5",
        lineage=f"{LINEAGE}/measurements/downstream/{{run}}/{{block}}.json",
    log:
        f"{LOGS}/measurements/downstream/{{run}}/{{block}}.log",
    wildcard_constraints:
        run=any_of(PLAN.runs),
    threads: THREADS
    resources:
        **needs("downstream", gpu=True),
    params:
        code=code("downstream.py"),
        packages=packages(
            "torch",
            "ai2-olmo",
            "numpy",
            "h5py",
            "safetensors",
            "tokenizers",
            "pyarrow",
        ),
        threads=THREADS,
        steps=measured_steps,
        model=lambda wildcards: PLAN.runs[wildcards.run].model.model_dump(mode="json"),
        context=lambda wildcards: {
            "sequence_length": PLAN.runs[wildcards.run].sequence_length
        },
        tokenizer=lambda wildcards: PLAN.corpus(wildcards.run).tokenizer.model_dump(
            mode="json"
        ),
        settings=EXPERIMENT.measurements.downstream.model_dump(
            mode="json", exclude={"runs"}
        ),
        batch={"micro_batch_size": EXPERIMENT.measurements.micro_batch_size},
    message:
        "Downstream accuracy of {wildcards.run}, {wildcards.block}"
    script:
        "../scripts/downstream.py"
