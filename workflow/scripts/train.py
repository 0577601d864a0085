"""Train one segment of a run and move it to its place."""

from zsl.job import job
from zsl.training.modules import stepping_modules

with job(snakemake, modules=stepping_modules(snakemake.params.run)) as facts:
    import shutil
    from pathlib import Path

    from zsl.config.grids import Segment
    from zsl.config.schema import Run
    from zsl.files import read_json, sha256, sha256_of_json, write_json
    from zsl.lineage.unchanged import stamps
    from zsl.training.finished import keep_finished, verified_checkpoint
    from zsl.training.launch import launch
    from zsl.training.states import publish_segment
    from zsl.training.task import FACTS, TrainingTask

    params, out, asked = snakemake.params, snakemake.output, snakemake.resources
    segment = Segment.parse(snakemake.wildcards.segment)
    manifests = [sha256(path) for key, path in snakemake.input.items() if "manifest" in path]
    made_from = {key: value for key, value in params.items() if key != "state"}
    # What began with some tokens is not resumed with tokens that changed unseen.
    tokens = [stamp and stamp[:2] for stamp in stamps([Path(snakemake.input.token_files)]).values()]
    state = Path(params.state) / sha256_of_json([made_from, manifests, tokens])[:16]
    parent = snakemake.input.get("previous_checkpoints")
    if parent:
        parent = verified_checkpoint(Path(snakemake.input.previous), Path(parent), segment.start)
    task = TrainingTask(
        name=f"{snakemake.wildcards.run} {segment.name}",
        run=params.run,
        tokenizer=params.tokenizer,
        manifest=snakemake.input.tokens,
        tokens=snakemake.input.token_files,
        data_seed=params.data_order["data_seed"],
        segment=segment.name,
        parent=str(parent) if parent else None,
        state=str(state),
        threads=params.threads,
    )
    launch(
        task,
        Path(snakemake.log[0]),
        processes=asked.get("processes", 1),
        nodes=asked.get("nodes", 1),
        mpi=asked.get("mpi", ""),
    )
    facts.update(read_json(state / FACTS))
    run = Run.model_validate(params.run)
    manifest = publish_segment(run, segment, state=state, folder=Path(out.checkpoints))
    shutil.copyfile(state / "throughput.csv", snakemake.log.throughput)
    shutil.copyfile(state / "steps.csv", out.steps)
    write_json(out.manifest, manifest)

keep_finished(state)
