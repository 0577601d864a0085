"""Measure how every token's loss changes over the intervals of a block."""

from zsl.job import job

with job(snakemake):
    from pathlib import Path

    from zsl.measurements.delta_loss import measure_delta_loss

    by_block = {Path(path).stem: Path(path) for path in snakemake.input}
    measure_delta_loss(
        snakemake.params.pairs,
        {int(step): by_block[block] for step, block in snakemake.params.blocks.items()},
        Path(snakemake.output.h5),
        run=snakemake.wildcards.run,
        **snakemake.params.options,
    )
