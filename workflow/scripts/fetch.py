"""Fetch the checkpoints of a segment, and make them folders as ours are."""

from zsl.job import job

with job(snakemake) as facts:
    from pathlib import Path

    from zsl.checkpoints.fetching import fetch
    from zsl.config.elsewhere import Elsewhere
    from zsl.files import write_json
    from zsl.progress import Progress

    params, out = snakemake.params, snakemake.output
    state = Path(params.state)
    manifest = fetch(
        Elsewhere.model_construct(**params.source),
        params.steps,
        folder=Path(out.checkpoints),
        work=state / "work",
        pins=state / "pins.json",
        parameters=params.model["parameters"],
        report=Progress(snakemake.wildcards.run, len(params.steps), unit="checkpoints").update,
    )
    write_json(out.manifest, manifest)
    if params.source["repository"]:  # files here are inputs of the job
        facts["sources"] = [
            {"origin": f"{told['origin']}: {name}", **file}
            for told in manifest["checkpoints"].values()
            for name, file in told["files"].items()
        ]
