"""What the checkpoints of a run that others trained tell about one another."""

from zsl.job import job

with job(snakemake) as facts:
    import logging
    from dataclasses import asdict

    from zsl.checkpoints.contents import oddities
    from zsl.checkpoints.fetching import kept_contents
    from zsl.files import read_json, write_json

    run, log = snakemake.wildcards.run, logging.getLogger("zsl")
    contents = [found for path in snakemake.input for found in kept_contents(read_json(path))]
    faults = [asdict(odd) for odd in oddities(sorted(contents, key=lambda found: found.step))]
    for fault in faults:
        log.warning("%s, steps %s: %s: %s", run, fault["steps"], fault["kind"], fault["text"])
    write_json(snakemake.output.json, {"run": run, "faults": faults})
