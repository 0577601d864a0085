"""Take a model's smoothed train loss from the authors' file."""

from zsl.job import job

with job(snakemake):
    from pathlib import Path

    from zsl.curves.train_loss import published_curve
    from zsl.study import write_csv

    table = published_curve(
        snakemake.wildcards.run, snakemake.params.name, Path(snakemake.input[0])
    )
    write_csv(snakemake.output.csv, table)
