"""Fit a one-break BNSL to a run's smoothed train loss."""

from zsl.job import job

with job(snakemake):
    import pandas as pd

    from zsl.files import write_json
    from zsl.fits.result import fit_curve

    params = snakemake.params
    fit = fit_curve(
        pd.read_csv(snakemake.input[0], float_precision="round_trip"),
        run=snakemake.wildcards.run,
        **params.settings,
        imported=params.imported,
        note=params.note,
    )
    write_json(snakemake.output.json, fit)
