"""Fit a one-break BNSL to a run's smoothed train loss."""

from zsl.job import job

with job(snakemake):
    from zsl.files import write_json
    from zsl.fits.result import fit_curve
    from zsl.study import read_curve

    params = snakemake.params
    fit = fit_curve(
        read_curve(snakemake.input[0]),
        run=snakemake.wildcards.run,
        **params.settings,
        imported=params.imported,
        note=params.note,
    )
    write_json(snakemake.output.json, fit)
