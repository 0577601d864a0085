"""The plan of the experiment, and the functions that the rules look things up with.

Snakemake compares parameters as a set of values without their names, so a number besides
``threads`` stands in a dict with its name, lest it change into its neighbour unseen.
"""

import os
import re
import sys
from functools import cache
from glob import glob
from pathlib import Path

from zsl import registry
from zsl.config.grids import Segment
from zsl.config.load import resolve
from zsl.config.parameters import n_parameters
from zsl.data.budget import check_budget, known_tokens, requirement
from zsl.errors import ZslError
from zsl.lineage.fingerprint import fingerprint
from zsl.lineage.pins import pins
from zsl.optimizers import module_of
from zsl.registry.inputs import MEASUREMENT_OF, blocks_of, runs_of, shown_runs
from zsl.registry.target import BEYOND


def checked(function, *arguments):
    """Call a function; what it says about the user's input ends Snakemake in clean lines."""
    try:
        return function(*arguments)
    except ZslError as error:
        sys.exit(f"Error in the configuration:\n{error}")


PLAN = checked(resolve, config)

EXPERIMENT = PLAN.experiment
THREADS = EXPERIMENT.threads
RESULTS = f"results/{EXPERIMENT.experiment}"
LINEAGE = f"{RESULTS}/lineage"
LOGS = f"{RESULTS}/logs"
TARGETS = {target.id: target for target in registry.available(PLAN)}
REPORTED = {"figure": "svg", "table": "html"}
# Curves whose jobs have a rule of their own.
OTHER_CURVES = ["breakdown", "sensitivity"]
UNSEEN = EXPERIMENT.measurements.single_step.batches


def any_of(names):
    """A regular expression for exactly these names, so that a typo is one clean line."""
    return "|".join(sorted(map(re.escape, names))) or "(?!)"


def of_kind(kind):
    """Names of the targets of a kind that this experiment can make."""
    return [id for id, target in TARGETS.items() if target.kind == kind]


wildcard_constraints:
    corpus=any_of(EXPERIMENT.corpora),
    suite=any_of(EXPERIMENT.suites),
    run=any_of([*PLAN.runs, *PLAN.imported]),
    segment=r"\d{8}-\d{8}",
    block=r"step\d{8}|\d{8}-\d{8}|decades|every",
    figure=any_of(of_kind("figure")),
    table=any_of(of_kind("table")),


def code(script, modules=(), files=()):
    """Fingerprint of a script and of all library code it reaches."""
    return checked(fingerprint, Path("workflow/scripts") / script, modules, files)


@cache
def stepping_code(script, run, *modules):
    """Fingerprint of a script that makes steps of a run, with the code of its optimizer."""
    return code(script, [*modules, module_of(PLAN.runs[run].optimizer.name)])


def packages(*names):
    """Pinned versions of the packages that a rule's results depend on."""
    return checked(pins, *names)


def segment_folder(run, segment):
    """Folder of a segment's checkpoints."""
    return f"{RESULTS}/training/{run}/{segment.name}"


def segment_manifest(run, segment):
    """Manifest of a segment's checkpoints, which stands for the folder."""
    return f"{segment_folder(run, segment)}.manifest.json"


def token_manifest(run):
    """Manifest of the tokens a run reads, which stands for their folder."""
    return f"{RESULTS}/data/{PLAN.runs[run].corpus}/manifest.json"


def token_folder(run):
    """Folder of the tokens a run reads."""
    return f"{RESULTS}/data/{PLAN.runs[run].corpus}/tokens"


def previous_segment(wildcards):
    """Manifest and folder of the segment that this one starts from, if any."""
    layout = PLAN.layout(wildcards.run)
    before = layout.previous(Segment.parse(wildcards.segment))
    if before is None:
        return {}
    return {
        "previous": segment_manifest(wildcards.run, before),
        "previous_checkpoints": ancient(segment_folder(wildcards.run, before)),
    }


def block_checkpoints(wildcards):
    """Manifest and folder of the checkpoints that a measurement file covers."""
    layout = PLAN.layout(wildcards.run)
    segment = layout.segment_of(layout.blocks[wildcards.block][0])
    return {
        "manifest": segment_manifest(wildcards.run, segment),
        "checkpoints": ancient(segment_folder(wildcards.run, segment)),
    }


def published_file(run):
    """The file that a run's imported curve is in: the user's own, or the downloaded one."""
    source = PLAN.imported[run]
    return source.path or f"{RESULTS}/data/published/{run.split('-', 1)[0]}.json"


def measurement_files(curve, run):
    """The files of a run's measurement that a kind of curve is made from."""
    folder = f"{RESULTS}/measurements/{MEASUREMENT_OF[curve]}/{run}"
    return [f"{folder}/{block}.h5" for block in blocks_of(PLAN, curve, run)]


def measured_steps(wildcards):
    """The checkpoints of a block on which everything is measured."""
    return list(PLAN.layout(wildcards.run).measured_blocks[wildcards.block])


def pair_blocks(wildcards):
    """Block that holds each checkpoint which a block's intervals start from or end at."""
    layout = PLAN.layout(wildcards.run)
    steps = {step for pair in layout.pairs(wildcards.block) for step in pair}
    return {step: layout.block_of(step) for step in sorted(steps)}


def pair_files(wildcards):
    """Token losses that a block's intervals start from and end at."""
    folder = f"{RESULTS}/measurements/token_losses/{wildcards.run}"
    blocks = dict.fromkeys(pair_blocks(wildcards).values())
    return [f"{folder}/{block}.h5" for block in blocks]


def run_info(run, settings=False):
    """What figures and tables say about a run, as plain values."""
    info = {"id": run, "label": run.split("-", 1)[1], "imported": run in PLAN.imported}
    if run in PLAN.imported:
        number = PLAN.imported[run].parameters.get(info["label"])
        return {**info, "n_parameters": number}
    made = PLAN.runs[run]
    number = n_parameters(
        made.model, PLAN.corpus(run).tokenizer.rows, made.sequence_length
    )
    shown = {"settings": made.model_dump(mode="json")} if settings else {}
    return {**info, "n_parameters": number, **shown}


def evaluation_sequences(run, asked):
    """The evaluation sequences of a measurement: the first ``asked`` of them; None: all."""
    evaluation = PLAN.corpus(run).evaluation
    return {
        "sequences": asked or evaluation.sequences,
        "sequence_length": evaluation.sequence_length,
    }


def stepped_run(run):
    """What the step after a checkpoint depends on, as plain values."""
    return PLAN.runs[run].model_dump(mode="json", exclude={"checkpoints", "seed"})


def curve_options(curve):
    """Settings of a curve, as plain values."""
    curves, figures = EXPERIMENT.curves, EXPERIMENT.figures
    if curve in ("delta_loss", "step_grids"):
        return {"resamples": curves.resamples, "seed": curves.resampling_seed}
    if curve == "token_landscapes":
        return {"tokens": figures.landscape_tokens, "seed": figures.landscape_seed}
    return {}


def curve_file(kind, run):
    """The fit of a run, or its curve of a kind."""
    return (
        f"{RESULTS}/fits/{run}.json"
        if kind == "fits"
        else f"{RESULTS}/curves/{kind}/{run}.csv"
    )


def study_inputs(target):
    """Files by kind that a figure or table reads."""
    asked = TARGETS[target]
    return {
        kind: [curve_file(kind, run) for run in runs_of(PLAN, asked, kind)]
        for kind in asked.inputs
    }


def study(target):
    """What a figure or table reads besides files, as plain values: only what it depends on."""
    asked = TARGETS[target]
    settings = EXPERIMENT.tables if asked.kind == "table" else EXPERIMENT.figures
    options = settings.model_dump(mode="json").items()
    sizes = [run.split("-", 1)[1] for run in PLAN.run_ids("main")]
    shown = shown_runs(PLAN, asked)
    return {
        "experiment": EXPERIMENT.experiment,
        "comparable": EXPERIMENT.comparable,
        "runs": [run_info(run, settings=asked.settings) for run in shown],
        "sizes": sizes if asked.kind == "figure" else [],
        "seeds": (
            {run: PLAN.seeds[run] for run in shown if run in PLAN.seeds}
            if asked.claims
            else {}
        ),
        "options": {key: value for key, value in options if key.startswith(target)},
    }


def printed_values(table):
    """File of the paper's own values of a table, if they are kept."""
    path = f"src/zsl/tables/paper/{table}.csv"
    return [path] if Path(path).exists() else []


def caption(target):
    """Caption of a figure or table, filled from the configuration."""
    return registry.caption(TARGETS[target], PLAN)


def shown_caption(target, path):
    """The caption in the report: with the verdicts on its claims, which the figure's job made.

    Elsewhere the plain one: a parameter that depends on an output would be recorded too early.
    """
    if "--report" in sys.argv and Path(path).exists():
        return Path(path).read_text(encoding="utf-8")
    return caption(target)


def report_labels(target, file):
    """What the report's lists say of a file of a figure or table."""
    shown = TARGETS[target]
    paper = shown.heading if shown.number is not None else "–"
    return {"in the paper": paper, "title": shown.title, "what": file}


def target_file(target, suffix):
    """Path of a figure or table."""
    return f"{RESULTS}/{TARGETS[target].kind}s/{target}.{suffix}"


def shown_file(target):
    """The file of a figure or table that the report shows."""
    return target_file(target, REPORTED[TARGETS[target].kind])
