"""Let the evaluation loss of a run's checkpoints stand for its train loss."""

from zsl.job import job

with job(snakemake):
    from zsl.curves.train_loss import evaluated_curve
    from zsl.files import write_json
    from zsl.study import write_csv

    table, note = evaluated_curve(snakemake.input[0])
    write_csv(snakemake.output.csv, table)
    write_json(snakemake.output.facts, {"note": note})
