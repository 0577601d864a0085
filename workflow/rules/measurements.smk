"""From checkpoints to HDF5: each measurement of the registry, and the changes of losses.

A file covers a block: one checkpoint, or all checkpoints of a segment
(``measurements.block``).
"""

from functools import partial

from zsl.config.measurements import MEASUREMENTS


def measured_inputs(kind, wildcards):
    """Checkpoints of a block, and what they are measured on."""
    checkpoints = block_checkpoints(wildcards)
    if kind.reads == "choices":
        corpus = PLAN.runs[wildcards.run].corpus
        return {**checkpoints, "tokenizer": f"{RESULTS}/data/{corpus}/tokenizer.json"}
    return {
        **checkpoints,
        "tokens": token_manifest(wildcards.run),
        "token_files": ancient(token_folder(wildcards.run)),
    }


def measured_steps(kind, wildcards):
    """The checkpoints of a block that are measured."""
    layout = PLAN.layout(wildcards.run)
    of_block = layout.blocks if kind.every else layout.measured_blocks
    return list(of_block[wildcards.block])


def measured_code(kind, wildcards):
    """Fingerprint of a measurement, with the optimizer that makes its steps."""
    if kind.step:
        return stepping_code("measure.py", wildcards.run, *kind.modules())
    return code("measure.py", kind.modules())


def measured_parameters(kind):
    """What a measurement depends on besides code and files, by name."""
    settings = EXPERIMENT.measurements.of(kind.name)
    batch = {"micro_batch_size": EXPERIMENT.measurements.micro_batch_size}
    model = {
        "model": lambda wildcards: PLAN.runs[wildcards.run].model.model_dump(
            mode="json"
        ),
        "context": lambda wildcards: {
            "sequence_length": PLAN.runs[wildcards.run].sequence_length
        },
    }
    step = {
        "run": lambda wildcards: stepped_run(wildcards.run),
        "data_order": {"data_seed": EXPERIMENT.data_seed},
    }
    evaluation = {
        "evaluation": lambda wildcards: evaluation_sequences(
            wildcards.run, getattr(settings, "sequences", None)
        )
    }
    # The number of sequences stands in the evaluation, which runs are asked makes no difference.
    own = settings.model_dump(mode="json", exclude={"runs"})
    return {
        "steps": partial(measured_steps, kind),
        "tokenizer": lambda wildcards: PLAN.corpus(wildcards.run).tokenizer.model_dump(
            mode="json"
        ),
        **(step if kind.step else model),
        **({} if kind.reads == "choices" else evaluation),
        **({"settings": own} if own.keys() - {"sequences"} else {}),
        "batch": (
            {**batch, "batches": getattr(settings, "batches", 1)}
            if kind.step
            else batch
        ),
    }


for kind in MEASUREMENTS.values():
    if kind.reads == "losses":
        continue

    rule:
        name:
            kind.name
        input:
            unpack(partial(measured_inputs, kind)),
        output:
            h5=f"{RESULTS}/measurements/{kind.name}/{{run}}/{{block}}.h5",
            lineage=f"{LINEAGE}/measurements/{kind.name}/{{run}}/{{block}}.json",
        log:
            f"{LOGS}/measurements/{kind.name}/{{run}}/{{block}}.log",
        wildcard_constraints:
            run=any_of(PLAN.runs),
        threads: THREADS
        resources:
            **needs(kind.name, gpu=True),
        params:
            **measured_parameters(kind),
            code=partial(measured_code, kind),
            packages=packages(*kind.packages),
            threads=THREADS,
        message:
            f"{kind.title} of {{wildcards.run}}, {{wildcards.block}}"
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
        packages=packages("numpy", "scipy", "h5py"),
        threads=THREADS,
        pairs=lambda wildcards: PLAN.layout(wildcards.run).pairs(wildcards.block),
        blocks=pair_blocks,
        options={
            "resamples": EXPERIMENT.curves.resamples,
            "seed": EXPERIMENT.curves.resampling_seed,
        },
    message:
        "Loss changes of {wildcards.run}, {wildcards.block}"
    script:
        "../scripts/delta_loss.py"
