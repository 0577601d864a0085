"""Fit a run's train loss again with other ends, cuts and smoothings."""

from zsl.job import job

with job(snakemake):
    from pathlib import Path

    from zsl.curves.sensitivity import sensitivity
    from zsl.study import read_curve, write_csv

    table = sensitivity(
        snakemake.wildcards.run,
        read_curve(snakemake.input.curve),
        [Path(path) for path in snakemake.input.get("steps", [])],
        **snakemake.params.settings,
    )
    write_csv(snakemake.output.csv, table)
