"""Fit a run's train loss again with other ends, cuts and smoothings."""

from zsl.job import job

with job(snakemake):
    from pathlib import Path

    import pandas as pd

    from zsl.curves.sensitivity import sensitivity
    from zsl.study import write_csv

    table = sensitivity(
        snakemake.wildcards.run,
        pd.read_csv(snakemake.input.curve, float_precision="round_trip"),
        [Path(path) for path in snakemake.input.get("steps", [])],
        **snakemake.params.settings,
    )
    write_csv(snakemake.output.csv, table)
