"""Ask the checkpoints of a block the multiple-choice questions of the downstream tasks."""

from zsl.job import job

with job(snakemake) as facts:
    from pathlib import Path

    from pydantic import TypeAdapter

    from zsl.config.measurements import Downstream
    from zsl.config.schema import Model
    from zsl.config.sources import Tokenizer
    from zsl.data.tasks import read_items, sample_items, task_files
    from zsl.data.tokenizer import load_tokenizer
    from zsl.measurements.checkpoints import measure_checkpoints, of_weights
    from zsl.measurements.downstream import encode, measure
    from zsl.measurements.room import micro_batch_of
    from zsl.models.olmo.build import empty_model
    from zsl.progress import Progress
    from zsl.training.device import device
    from zsl.training.published import WEIGHTS, published

    params, run = snakemake.params, snakemake.wildcards.run
    settings = Downstream.model_validate(params.settings)
    length = params.context["sequence_length"]
    tokenizer = load_tokenizer(Path(snakemake.input.tokenizer))
    tasks = {
        task: encode(
            sample_items(read_items(task), settings.items, settings.seed), tokenizer, length
        )
        for task in settings.tasks
    }
    facts["sources"] = task_files(settings.tasks)
    declared = TypeAdapter(Tokenizer).validate_python(params.tokenizer)
    model = empty_model(Model.model_validate(params.model), length, declared)
    model = model.to(device(params.threads)).eval()
    segment, folder = Path(snakemake.input.manifest), Path(snakemake.input.checkpoints)
    progress = Progress(run, len(params.steps), unit="checkpoints")
    most = max(len(questions.parts) for questions in tasks.values())
    asked = params.batch["micro_batch_size"]
    micro_batch = micro_batch_of(snakemake.rule, model, asked, most, length)
    measure_checkpoints(
        snakemake.rule,
        of_weights(measure, model, tasks),
        {step: published(segment, folder, step, WEIGHTS) for step in params.steps},
        Path(snakemake.output.h5),
        micro_batch,
        run=run,
        report=progress.update,
        seed=settings.seed,
    )
    facts["micro_batch_size"] = micro_batch.size
