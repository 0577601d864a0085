"""Make a curve of means over the evaluation tokens from a run's measurements."""

from zsl.job import job

with job(snakemake):
    from pathlib import Path

    from zsl.curves.measured import delta_loss_curve, eval_loss_curve
    from zsl.study import write_csv

    make = {"eval_loss": eval_loss_curve, "delta_loss": delta_loss_curve}
    paths = [Path(path) for path in snakemake.input]
    table = make[snakemake.wildcards.curve](snakemake.wildcards.run, paths)
    write_csv(snakemake.output.csv, table)
