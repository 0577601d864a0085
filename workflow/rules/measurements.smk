"""From checkpoints to HDF5: each measurement of the registry, and the changes of losses.

A file covers a block: one checkpoint, or all checkpoints of a segment
(``measurements.block``).
"""

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
            measured=partial(measured_parameters, kind),
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
