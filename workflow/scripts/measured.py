"""Make a curve of means over the evaluation tokens from a run's measurements."""

from zsl.job import job

with job(snakemake):
    from pathlib import Path

    from zsl.curves import measured
    from zsl.study import write_csv

    paths = [Path(path) for path in snakemake.input]
    make = measured.CURVES[snakemake.wildcards.curve]
    table = make(snakemake.wildcards.run, paths, **snakemake.params.options)
    write_csv(snakemake.output.csv, table)
