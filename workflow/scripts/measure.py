"""Measure the checkpoints of a block: the rule's name is the measurement's."""

from zsl.job import job

module = f"zsl.measurements.{snakemake.rule}"
with job(snakemake, modules=[module]):
    from importlib import import_module
    from pathlib import Path

    import numpy as np
    from pydantic import TypeAdapter

    from zsl.config.grids import checkpoint_name
    from zsl.config.schema import Model
    from zsl.config.sources import Tokenizer
    from zsl.data.manifest import read_manifest
    from zsl.data.tokens import open_split
    from zsl.measurements.checkpoints import measure_checkpoints
    from zsl.progress import Progress
    from zsl.training.device import device
    from zsl.training.model import empty_model

    params, run = snakemake.params, snakemake.wildcards.run
    target = device(params.threads)
    length = params.evaluation["sequence_length"]
    manifest = read_manifest(Path(snakemake.input.tokens))
    tokens = open_split(Path(snakemake.input.token_files), manifest, "eval", length)
    tokenizer = TypeAdapter(Tokenizer).validate_python(params.tokenizer)
    model = empty_model(
        Model.model_validate(params.model), params.context["sequence_length"], tokenizer
    )
    folder = Path(snakemake.input.checkpoints)
    progress = Progress(run, len(params.steps), unit="checkpoints")
    measure_checkpoints(
        snakemake.rule,
        import_module(module).measure,
        model,
        {step: folder / checkpoint_name(step) for step in params.steps},
        tokens.batch(np.arange(params.evaluation["sequences"])),
        Path(snakemake.output.h5),
        run=run,
        **params.batch,
        device=target,
        report=progress.update,
    )
