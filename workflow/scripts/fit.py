"""Fit a one-break BNSL to a run's smoothed train loss."""

from zsl.job import job

with job(snakemake):
    from zsl.files import read_json, write_json
    from zsl.fits.result import fit_curve
    from zsl.study import read_curve

    params = snakemake.params
    notes = [read_json(path)["note"] for path in snakemake.input.facts]
    fit = fit_curve(
        read_curve(snakemake.input.curve),
        run=snakemake.wildcards.run,
        **params.settings,
        imported=params.imported,
        note="; ".join(notes),
    )
    write_json(snakemake.output.json, fit)
