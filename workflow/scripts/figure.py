"""Draw one figure of the registry and write the data behind it."""

from zsl.job import job

with job(snakemake, modules=[f"zsl.figures.{snakemake.wildcards.figure}"]):
    from zsl.figures import render
    from zsl.study import make_study

    figure, out = snakemake.wildcards.figure, snakemake.output
    study = make_study(snakemake.params.study, dict(snakemake.input.items()))
    render.write(figure, study, {kind: out[kind] for kind in ("csv", "pdf", "svg")})
