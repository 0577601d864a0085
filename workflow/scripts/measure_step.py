"""Measure the next optimizer step at the checkpoints of a block; the rule's name says what."""

from zsl.job import job
from zsl.optimizers import module_of

module = f"zsl.measurements.{snakemake.rule}"
optimizer = module_of(snakemake.params.run["optimizer"]["name"])
with job(snakemake, modules=[module, optimizer]) as facts:
    from importlib import import_module
    from pathlib import Path

    import numpy as np
    import torch
    from pydantic import TypeAdapter

    from zsl.config.schema import Run
    from zsl.config.sources import Tokenizer
    from zsl.data.manifest import read_manifest
    from zsl.data.tokens import open_split, open_training
    from zsl.measurements.checkpoints import evaluation_tokens, measure_checkpoints
    from zsl.measurements.next_step import unseen_batches
    from zsl.measurements.room import micro_batch_of
    from zsl.models.olmo.build import empty_model
    from zsl.progress import Progress
    from zsl.training.device import device
    from zsl.training.order import run_order
    from zsl.training.published import published

    params, name = snakemake.params, snakemake.wildcards.run
    target = device(params.threads)
    run = Run.model_validate(params.run)
    manifest = read_manifest(Path(snakemake.input.tokens))
    files, evaluation = Path(snakemake.input.token_files), params.evaluation
    train = open_training(files, manifest, run)
    held_out = open_split(files, manifest, "eval", evaluation["sequence_length"])
    tokenizer = TypeAdapter(Tokenizer).validate_python(params.tokenizer)
    model = empty_model(run.model, run.sequence_length, tokenizer).eval()
    order = run_order(run, len(train), params.data_order["data_seed"])
    unseen = unseen_batches(order, run, params.batch["batches"])
    batches = torch.stack([torch.from_numpy(train.batch(indices)) for indices in unseen])
    input_ids = evaluation_tokens(held_out.batch(np.arange(evaluation["sequences"])), model, target)
    measure = import_module(module).of_run(
        run,
        model,
        batches.to(target),
        input_ids,
        params.settings,
    )
    segment, folder = Path(snakemake.input.manifest), Path(snakemake.input.checkpoints)
    progress = Progress(name, len(params.steps), unit="checkpoints")
    asked = params.batch["micro_batch_size"]
    micro_batch = micro_batch_of(snakemake.rule, model, asked, *input_ids.shape)
    measure_checkpoints(
        snakemake.rule,
        measure,
        {step: published(segment, folder, step) for step in params.steps},
        Path(snakemake.output.h5),
        micro_batch,
        run=name,
        report=progress.update,
        data_position=run.steps * run.batch_size,
        batch_size=run.batch_size,
    )
    facts["micro_batch_size"] = micro_batch.size
