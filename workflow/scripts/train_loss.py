"""Smooth and subsample the train loss of a run."""

from zsl.job import job

with job(snakemake):
    from zsl.curves.train_loss import train_loss_curve
    from zsl.study import write_csv

    curves = snakemake.params.curves
    table = train_loss_curve(
        snakemake.wildcards.run, list(snakemake.input), curves["k"], curves["first"]
    )
    write_csv(snakemake.output.csv, table)
