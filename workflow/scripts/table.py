"""Write one table of the registry in four formats."""

from zsl.job import job

module = f"zsl.tables.{snakemake.wildcards.table}"
with job(snakemake, modules=[module], files=snakemake.params.printed) as facts:
    from zsl.study import make_study
    from zsl.tables import render

    table, out = snakemake.wildcards.table, snakemake.output
    study = make_study(snakemake.params.study, dict(snakemake.input.items()))
    facts["shown"] = study.shown()
    files = {kind: out[kind] for kind in ("csv", "tex", "md", "html")}
    render.write(table, study, files, snakemake.params.caption)
