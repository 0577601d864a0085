"""Take a run's train loss from a file that others logged."""

from zsl.job import job

with job(snakemake):
    import logging
    from dataclasses import asdict
    from pathlib import Path

    from zsl.config.imported import ImportedCurve
    from zsl.curves.imported import imported_curve
    from zsl.files import write_json
    from zsl.study import write_csv

    params, path = snakemake.params, Path(snakemake.input[0])
    source = ImportedCurve.model_validate({**params.source, "path": str(path)})
    table, note, facts = imported_curve(snakemake.wildcards.run, source, path, **params.curves)
    log = logging.getLogger("zsl")
    log.info("%s: %s", path, ", ".join(f"{name} {n:,}" for name, n in asdict(facts).items()))
    log.log(logging.WARNING if facts.said() else logging.INFO, note)
    write_csv(snakemake.output.csv, table)
    write_json(snakemake.output.facts, {"note": note, **asdict(facts)})
