"""Measure the checkpoints of a block: the rule's name is the measurement's."""

from zsl.config.measurements import MEASUREMENTS
from zsl.job import job
from zsl.training.modules import stepping_modules

kind = MEASUREMENTS[snakemake.rule]
asked = snakemake.params.measured
modules = [*kind.modules(asked.get("on"))]
if "source" in asked:
    modules.append("zsl.models.hf.folder")
if "run" in asked:
    modules += stepping_modules(asked["run"])
with job(snakemake, modules=modules) as facts:
    from importlib import import_module
    from pathlib import Path

    from zsl.measurements.checkpoints import measure_checkpoints
    from zsl.measurements.room import micro_batch_of
    from zsl.models.families import family_of
    from zsl.progress import Progress
    from zsl.training.device import device
    from zsl.training.finished import verified_checkpoint

    inputs, run = snakemake.input, snakemake.wildcards.run
    settings = kind.model_validate(asked.get("settings", {}))
    segment, folder = Path(inputs.manifest), Path(inputs.checkpoints)
    checkpoints = {
        step: verified_checkpoint(segment, folder, step, weights_only="run" not in asked)
        for step in asked["steps"]
    }
    first = checkpoints[asked["steps"][0]]
    prepare = import_module(modules[0]).prepare
    # What is trained here is OLMo: no other family counts as code of its measurements.
    own = import_module("zsl.models.olmo.folder")
    model = (family_of(first) if "source" in asked else own).load_model(first)
    prepared = prepare(settings, asked, inputs, model, device(snakemake.params.threads))
    progress = Progress(run, len(checkpoints), unit="checkpoints")
    micro_batch = micro_batch_of(
        settings, prepared.model, asked["micro_batch_size"], *prepared.read
    )
    measure_checkpoints(
        kind.name,
        prepared.measure,
        checkpoints,
        Path(snakemake.output.h5),
        micro_batch,
        run=run,
        report=progress.update,
        **prepared.attributes,
    )
    facts["micro_batch_size"] = micro_batch.size
    facts.update(prepared.facts)
