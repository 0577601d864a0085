"""Measure the weights at the checkpoints of a block: the rule's name is the measurement's."""

from zsl.job import job

module = f"zsl.measurements.{snakemake.rule}"
with job(snakemake, modules=[module]) as facts:
    from importlib import import_module
    from pathlib import Path

    import numpy as np
    from pydantic import TypeAdapter

    from zsl.config.schema import Model
    from zsl.config.sources import Tokenizer
    from zsl.data.manifest import read_manifest
    from zsl.data.tokens import open_split
    from zsl.measurements.checkpoints import evaluation_tokens, measure_checkpoints, of_weights
    from zsl.measurements.room import micro_batch_of
    from zsl.models.olmo.build import empty_model
    from zsl.progress import Progress
    from zsl.training.device import device
    from zsl.training.published import WEIGHTS, published

    params, run = snakemake.params, snakemake.wildcards.run
    target = device(params.threads)
    length = params.evaluation["sequence_length"]
    manifest = read_manifest(Path(snakemake.input.tokens))
    tokens = open_split(Path(snakemake.input.token_files), manifest, "eval", length)
    tokenizer = TypeAdapter(Tokenizer).validate_python(params.tokenizer)
    model = empty_model(
        Model.model_validate(params.model), params.context["sequence_length"], tokenizer
    )
    model = model.to(target).eval()
    input_ids = evaluation_tokens(
        tokens.batch(np.arange(params.evaluation["sequences"])), model, target
    )
    measure = import_module(module).measure
    segment, folder = Path(snakemake.input.manifest), Path(snakemake.input.checkpoints)
    progress = Progress(run, len(params.steps), unit="checkpoints")
    asked = params.batch["micro_batch_size"]
    micro_batch = micro_batch_of(snakemake.rule, model, asked, *input_ids.shape)
    measure_checkpoints(
        snakemake.rule,
        of_weights(measure, model, input_ids),
        {step: published(segment, folder, step, WEIGHTS) for step in params.steps},
        Path(snakemake.output.h5),
        micro_batch,
        run=run,
        report=progress.update,
    )
    facts["micro_batch_size"] = micro_batch.size
