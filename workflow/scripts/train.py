"""Train one segment of a run and move it to its place."""

from zsl.job import job
from zsl.optimizers import module_of

with job(snakemake, modules=[module_of(snakemake.params.run["optimizer"]["name"])]) as facts:
    import shutil
    from pathlib import Path

    from pydantic import TypeAdapter

    from zsl.config.grids import Segment, checkpoint_name
    from zsl.config.schema import Run
    from zsl.config.sources import Tokenizer
    from zsl.data.manifest import read_manifest
    from zsl.data.tokens import open_training
    from zsl.files import sha256, sha256_of_json, write_json
    from zsl.training.device import device
    from zsl.training.order import order_sha256
    from zsl.training.parallel import processes
    from zsl.training.segment import make_trainer, publish_segment, train_segment

    params, out = snakemake.params, snakemake.output
    segment = Segment.parse(snakemake.wildcards.segment)
    run = Run.model_validate(params.run)
    manifests = [sha256(path) for key, path in snakemake.input.items() if "manifest" in path]
    made_from = {key: value for key, value in params.items() if key != "state"}
    identity = sha256_of_json([made_from, manifests])
    state = Path(params.state) / identity[:16]
    parent = snakemake.input.get("previous_checkpoints")
    device(params.threads)
    with processes() as group:
        tokens = open_training(
            Path(snakemake.input.token_files), read_manifest(Path(snakemake.input.tokens)), run
        )
        tokenizer = TypeAdapter(Tokenizer).validate_python(params.tokenizer)
        trainer = make_trainer(run, tokenizer, tokens, params.data_order["data_seed"], group)
        facts["data_order"] = {"sequences": len(tokens), "sha256": order_sha256(trainer.order)}
        train_segment(
            trainer,
            segment,
            state=state,
            parent=Path(parent) / checkpoint_name(segment.start) if parent else None,
            name=f"{snakemake.wildcards.run} {segment.name}",
        )
    manifest = publish_segment(run, segment, state=state, folder=Path(out.checkpoints))
    shutil.copyfile(state / "throughput.csv", snakemake.log.throughput)
    shutil.copyfile(state / "steps.csv", out.steps)
    write_json(out.manifest, manifest)

shutil.rmtree(params.state)
