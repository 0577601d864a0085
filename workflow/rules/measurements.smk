"""From checkpoints to HDF5: per-token losses, their changes, gradients, and the next step.

A file covers a block: one checkpoint, or all checkpoints of a segment
(``measurements.block``).
"""


rule token_losses:
    """The loss of every evaluation token at the checkpoints of a block."""
    input:
        unpack(block_checkpoints),
        tokens=lambda wildcards: token_manifest(wildcards.run),
        token_files=lambda wildcards: ancient(token_folder(wildcards.run)),
    output:
        h5=f"{RESULTS}/measurements/token_losses/{{run}}/{{block}}.h5",
        lineage=f"{LINEAGE}/measurements/token_losses/{{run}}/{{block}}.json",
    log:
        f"{LOGS}/measurements/token_losses/{{run}}/{{block}}.log",
    threads: THREADS
    resources:
        **needs("token_losses", gpu=True),
    params:
        code=code("measure.py", modules=["zsl.measurements.token_losses"]),
        packages=packages("torch", "ai2-olmo", "numpy", "h5py", "safetensors"),
        threads=THREADS,
        steps=lambda wildcards: list(PLAN.layout(wildcards.run).blocks[wildcards.block]),
        model=lambda wildcards: PLAN.runs[wildcards.run].model.model_dump(mode="json"),
        context=lambda wildcards: {
            "sequence_length": PLAN.runs[wildcards.run].sequence_length
        },
        tokenizer=lambda wildcards: PLAN.corpus(wildcards.run).tokenizer.model_dump(
            mode="json"
        ),
        evaluation=lambda wildcards: evaluation_sequences(wildcards.run, None),
        batch={"micro_batch_size": EXPERIMENT.measurements.micro_batch_size},
    message:
        "Token losses of {wildcards.run}, {wildcards.block}"
    script:
        "../scripts/measure.py"


rule gradient_opposition:
    """Opposition of per-token gradients by proxy (Eq. 4, A.3) at a block's checkpoints."""
    input:
        unpack(block_checkpoints),
        tokens=lambda wildcards: token_manifest(wildcards.run),
        token_files=lambda wildcards: ancient(token_folder(wildcards.run)),
    output:
        h5=f"{RESULTS}/measurements/gradient_opposition/{{run}}/{{block}}.h5",
        lineage=f"{LINEAGE}/measurements/gradient_opposition/{{run}}/{{block}}.json",
    log:
        f"{LOGS}/measurements/gradient_opposition/{{run}}/{{block}}.log",
    threads: THREADS
    resources:
        **needs("gradient_opposition", gpu=True),
    params:
        code=code("measure.py", modules=["zsl.measurements.gradient_opposition"]),
        packages=packages("torch", "ai2-olmo", "numpy", "h5py", "safetensors"),
        threads=THREADS,
        steps=measured_steps,
        model=lambda wildcards: PLAN.runs[wildcards.run].model.model_dump(mode="json"),
        context=lambda wildcards: {
            "sequence_length": PLAN.runs[wildcards.run].sequence_length
        },
        tokenizer=lambda wildcards: PLAN.corpus(wildcards.run).tokenizer.model_dump(
            mode="json"
        ),
        evaluation=lambda wildcards: evaluation_sequences(
            wildcards.run, EXPERIMENT.measurements.gradient_opposition.sequences
        ),
        batch={"micro_batch_size": EXPERIMENT.measurements.micro_batch_size},
    message:
        "Gradient opposition of {wildcards.run}, {wildcards.block}"
    script:
        "../scripts/measure.py"


rule delta_loss:
    """The change of every token's loss over the intervals [t, 2t] that end in a block."""
    input:
        pair_files,
    output:
        h5=f"{RESULTS}/measurements/delta_loss/{{run}}/{{block}}.h5",
        lineage=f"{LINEAGE}/measurements/delta_loss/{{run}}/{{block}}.json",
    log:
        f"{LOGS}/measurements/delta_loss/{{run}}/{{block}}.log",
    threads: THREADS
    resources:
        **needs("delta_loss"),
    params:
        code=code("delta_loss.py"),
        packages=packages("numpy", "h5py"),
        threads=THREADS,
        pairs=lambda wildcards: PLAN.layout(wildcards.run).pairs(wildcards.block),
        blocks=pair_blocks,
    message:
        "Loss changes of {wildcards.run}, {wildcards.block}"
    script:
        "../scripts/delta_loss.py"


rule token_gradients:
    """Opposition of true per-token gradients (Eqs. 10, 16-30) at a block's checkpoints."""
    input:
        unpack(block_checkpoints),
        tokens=lambda wildcards: token_manifest(wildcards.run),
        token_files=lambda wildcards: ancient(token_folder(wildcards.run)),
    output:
        h5=f"{RESULTS}/measurements/token_gradients/{{run}}/{{block}}.h5",
        lineage=f"{LINEAGE}/measurements/token_gradients/{{run}}/{{block}}.json",
    log:
        f"{LOGS}/measurements/token_gradients/{{run}}/{{block}}.log",
    threads: THREADS
    resources:
        **needs("token_gradients", gpu=True),
    params:
        code=lambda wildcards: stepping_code(
            "measure_step.py", wildcards.run, "zsl.measurements.token_gradients"
        ),
        packages=packages("torch", "ai2-olmo", "numpy", "h5py", "safetensors"),
        threads=THREADS,
        steps=measured_steps,
        run=lambda wildcards: stepped_run(wildcards.run),
        data_order={"data_seed": EXPERIMENT.data_seed},
        tokenizer=lambda wildcards: PLAN.corpus(wildcards.run).tokenizer.model_dump(
            mode="json"
        ),
        evaluation=lambda wildcards: evaluation_sequences(
            wildcards.run, EXPERIMENT.measurements.token_gradients.sequences
        ),
        settings=EXPERIMENT.measurements.token_gradients.model_dump(mode="json"),
        batch={
            "micro_batch_size": EXPERIMENT.measurements.micro_batch_size,
            "batches": 1,
        },
    message:
        "Token gradients of {wildcards.run}, {wildcards.block}"
    script:
        "../scripts/measure_step.py"


rule single_step:
    """Single optimizer steps from a block's checkpoints (Eq. 11, B.2)."""
    input:
        unpack(block_checkpoints),
        tokens=lambda wildcards: token_manifest(wildcards.run),
        token_files=lambda wildcards: ancient(token_folder(wildcards.run)),
    output:
        h5=f"{RESULTS}/measurements/single_step/{{run}}/{{block}}.h5",
        lineage=f"{LINEAGE}/measurements/single_step/{{run}}/{{block}}.json",
    log:
        f"{LOGS}/measurements/single_step/{{run}}/{{block}}.log",
    threads: THREADS
    resources:
        **needs("single_step", gpu=True),
    params:
        code=lambda wildcards: stepping_code(
            "measure_step.py", wildcards.run, "zsl.measurements.single_step"
        ),
        packages=packages("torch", "ai2-olmo", "numpy", "h5py", "safetensors"),
        threads=THREADS,
        steps=measured_steps,
        run=lambda wildcards: stepped_run(wildcards.run),
        data_order={"data_seed": EXPERIMENT.data_seed},
        tokenizer=lambda wildcards: PLAN.corpus(wildcards.run).tokenizer.model_dump(
            mode="json"
        ),
        evaluation=lambda wildcards: evaluation_sequences(wildcards.run, None),
        settings=EXPERIMENT.measurements.single_step.model_dump(mode="json"),
        batch={
            "micro_batch_size": EXPERIMENT.measurements.micro_batch_size,
            "batches": EXPERIMENT.measurements.single_step.batches,
        },
    message:
        "Single steps of {wildcards.run}, {wildcards.block}"
    script:
        "../scripts/measure_step.py"


rule cross_section:
    """Losses along the next update at a block's checkpoints (Section 3.4, B.4, B.5)."""
    input:
        unpack(block_checkpoints),
        tokens=lambda wildcards: token_manifest(wildcards.run),
        token_files=lambda wildcards: ancient(token_folder(wildcards.run)),
    output:
        h5=f"{RESULTS}/measurements/cross_section/{{run}}/{{block}}.h5",
        lineage=f"{LINEAGE}/measurements/cross_section/{{run}}/{{block}}.json",
    log:
        f"{LOGS}/measurements/cross_section/{{run}}/{{block}}.log",
    threads: THREADS
    resources:
        **needs("cross_section", gpu=True),
    params:
        code=lambda wildcards: stepping_code(
            "measure_step.py", wildcards.run, "zsl.measurements.cross_section"
        ),
        packages=packages("torch", "ai2-olmo", "numpy", "h5py", "safetensors"),
        threads=THREADS,
        steps=measured_steps,
        run=lambda wildcards: stepped_run(wildcards.run),
        data_order={"data_seed": EXPERIMENT.data_seed},
        tokenizer=lambda wildcards: PLAN.corpus(wildcards.run).tokenizer.model_dump(
            mode="json"
        ),
        evaluation=lambda wildcards: evaluation_sequences(
            wildcards.run, EXPERIMENT.measurements.cross_section.sequences
        ),
        settings=EXPERIMENT.measurements.cross_section.model_dump(mode="json"),
        batch={
            "micro_batch_size": EXPERIMENT.measurements.micro_batch_size,
            "batches": 1,
        },
    message:
        "Cross-sections of {wildcards.run}, {wildcards.block}"
    script:
        "../scripts/measure_step.py"
