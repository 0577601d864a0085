"""The plan of the experiment, and the functions that the rules look things up with.

Snakemake compares parameters as a set of values without their names. So that no number changes
into its neighbour unseen, each one besides ``threads`` stands in a dict with its name.
"""

import os
import re
import shlex
import sys
from functools import cache, partial
from glob import glob
from pathlib import Path

from snakemake.logging import logger

from zsl import registry
from zsl.config.grids import Segment
from zsl.config.load import read_yaml, resolve
from zsl.config.measurements import MEASUREMENT_OF, MEASUREMENTS
from zsl.config.sources import FileSource
from zsl.data.budget import check_budget, known_tokens, requirement
from zsl.data.declared import check_texts
from zsl.data.sources import files_here
from zsl.errors import ZslError, printable
from zsl.lineage.fingerprint import fingerprint
from zsl.lineage.pins import pins
from zsl.permissions import require_readable, said_of
from zsl.planning.imported import check_imported
from zsl.planning.jobs import CURVE_RULES
from zsl.registry.inputs import blocks_of
from zsl.registry.names import unknown_targets
from zsl.training.modules import stepping_modules


def checked(function, *arguments):
    """Call a function; what it says about the user's input ends Snakemake in clean lines."""
    try:
        return function(*arguments)
    except ZslError as error:
        sys.exit(f"Error in the configuration:\n{printable(str(error))}")
    except PermissionError as error:
        sys.exit(printable(f"Error: {said_of(error)}"))


def typed():
    """Snakemake's command line as it was typed; None where another program calls it."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        program = program.parent
    if not workflow.is_main_process or program.stem != "snakemake":
        return None
    from snakemake.cli import get_argument_parser

    return get_argument_parser().parse_known_args(sys.argv[1:])[0]


def check_typed():
    """Stop where a target that was typed is none, or where a configuration would be lost."""
    asked = typed()
    if asked is None:
        return
    files = [word for word in sys.argv if re.match("--configfiles?(=|$)", word)]
    wrong = unknown_targets(asked.targets, [rule.name for rule in workflow.rules], PLAN)
    if len(files) > 1:
        wrong.append(
            "--configfile: Snakemake takes the last of several; write the files behind one"
        )
    lost = asked.profile and asked.default_resources
    if lost and not any(word.startswith("table=") for word in lost):
        wrong.append(
            "--default-resources: would take the place of the profile's, which name its table of "
            "resources; say it in site.yaml, by --set-resources, or add table=profiles/slurm"
        )
    runs = (asked.cores or asked.profile) and not (asked.dryrun or asked.report)
    if runs and Path(".snakemake").exists() and not os.access(".snakemake", os.W_OK):
        wrong.append(
            f"{Path.cwd()}: another user's, in which you may not write; work in a copy "
            "(rsync -a), or look only (-n, zsl audit)"
        )
    if wrong:
        sys.exit(printable("Error in the command:\n" + "\n".join(wrong)))


def require_trained_once():
    """Stop before what is trained, and as its records say, is trained again."""
    from zsl.audit.retrained import require_told

    own = [os.path.relpath(path) for path in workflow.configfiles]
    default = own == ["config/config.yaml"]
    try:
        require_told(
            workflow.dag, "" if default else f" --configfile {shlex.join(own)}"
        )
    except ZslError as error:
        sys.exit(printable(f"Error: {error}"))


# Snakemake has read these files, but says nothing of keys that stand there twice, nor of two
# experiments of which it makes one.
WHOLE = [
    os.path.relpath(path)
    for path in workflow.configfiles
    if {"experiment", "corpora", "suites"} <= {*checked(read_yaml, path)}
]
if len(WHOLE) > 1 and workflow.is_main_process:
    logger.warning(
        f"{' and '.join(WHOLE)} are whole experiments; they are made one, with the runs of all. "
        "For one after the other, start Snakemake for each."
    )

PLAN = checked(resolve, config)

EXPERIMENT = PLAN.experiment
THREADS = EXPERIMENT.threads
RESULTS = f"results/{EXPERIMENT.experiment}"
LINEAGE = f"{RESULTS}/lineage"
LOGS = f"{RESULTS}/logs"
TARGETS = {target.id: target for target in registry.available(PLAN)}
# Curves whose jobs have a rule of their own.
OTHER_CURVES = [*CURVE_RULES]
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


@cache
def fingerprint_of(script, modules, files):
    """The fingerprint of a script, its modules and files, made once."""
    return checked(fingerprint, Path("workflow/scripts") / script, modules, files)


def code(script, modules=(), files=()):
    """Fingerprint of a script and of all library code it reaches."""
    return fingerprint_of(script, tuple(modules), tuple(files))


@cache
def stepping_code(script, run, *modules):
    """Fingerprint of a script that makes steps of a run, with the code of its optimizer and intervention."""
    settings = PLAN.runs[run].model_dump(mode="json")
    return code(script, (*modules, *stepping_modules(settings)))


def packages(*names):
    """Pinned versions of the packages that a rule's results depend on."""
    return checked(pins, *names)


def segment_folder(run, segment):
    """Folder of a segment's checkpoints."""
    made = "training" if run in PLAN.trained else "checkpoints"
    return f"{RESULTS}/{made}/{run}/{segment.name}"


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
    run = wildcards.run
    segment = PLAN.layout(run).segment_of_block(wildcards.block)
    manifest, folder = segment_manifest(run, segment), segment_folder(run, segment)
    if run in PLAN.trained:
        return {"manifest": manifest, "checkpoints": ancient(folder)}
    files = source_files(run, segment.name)
    return {
        "manifest": manifest,
        "checkpoints": ancient(folder),
        **({"files": files} if files else {}),
    }


def files_of(source):
    """Local files of a source; those that are missing stand as they are written."""
    try:
        if isinstance(source, FileSource):
            return [*files_here(source, Path.cwd()).files]
    except ZslError:
        pass
    patterns = getattr(source, "paths", [])
    return [path for p in patterns for path in sorted(glob(p, recursive=True)) or [p]]


def local_files(corpus):
    """Local files that a corpus is made of, each once."""
    made = EXPERIMENT.corpora[corpus]
    files = [path for s in [*made.train, *made.eval_sources] for path in files_of(s)]
    if getattr(made.tokenizer, "path", None):
        folder = Path(made.tokenizer.path)
        files.append(str(folder / "tokenizer.json" if folder.is_dir() else folder))
    return [*dict.fromkeys(files)]


def check_tokens():
    """Stop when a corpus whose size is known is too small for its runs."""
    for name, corpus in EXPERIMENT.corpora.items():
        needs = [
            requirement(id, run, unseen=UNSEEN)
            for id, run in PLAN.runs.items()
            if run.corpus == name
        ]
        tokens = known_tokens(
            corpus, Path(f"{RESULTS}/data/{name}/manifest.json"), Path.cwd()
        )
        if tokens is not None:
            check_budget(name, tokens, needs)


DOWNLOADED = {
    source.sha256: source
    for source in PLAN.logged_elsewhere.values()
    if source.path is None
}


def imported_file(source):
    """The file that an imported curve is in: the user's own, or the downloaded one."""
    return source.path or f"{RESULTS}/data/published/{source.sha256}"


def measurement_files(curve, run):
    """The files of a run's measurement that a kind of curve is made from."""
    folder = f"{RESULTS}/measurements/{MEASUREMENT_OF[curve]}/{run}"
    return [f"{folder}/{block}.h5" for block in blocks_of(PLAN, curve, run)]


def pair_blocks(wildcards):
    """Block that holds the losses at each step that a block's intervals start from or end at."""
    return PLAN.layout(wildcards.run).loss_blocks(wildcards.block)


def pair_files(wildcards):
    """Token losses that a block's intervals start from and end at."""
    folder = f"{RESULTS}/measurements/token_losses/{wildcards.run}"
    blocks = dict.fromkeys(pair_blocks(wildcards).values())
    return [f"{folder}/{block}.h5" for block in blocks]


def measured_inputs(kind, wildcards):
    """Checkpoints of a block, and what they are measured on."""
    checkpoints = block_checkpoints(wildcards)
    if kind.reads == "choices":
        corpus = PLAN.runs[wildcards.run].corpus
        return {**checkpoints, "tokenizer": f"{RESULTS}/data/{corpus}/tokenizer.json"}
    return {
        **checkpoints,
        "tokens": token_manifest(wildcards.run),
        "token_files": ancient(token_folder(wildcards.run)),
        **following_checkpoints(kind, wildcards),
    }


def following_checkpoints(kind, wildcards):
    """Manifest and folder of the checkpoints after those of a block, if an update is the difference
    to them."""
    run, layout = wildcards.run, PLAN.layout(wildcards.run)
    if not (kind.step and PLAN.runs[run].by_difference):
        return {}
    after = layout.following(layout.blocks[wildcards.block][-1])
    segment = layout.segment_of(after)
    return {
        "next_manifest": segment_manifest(run, segment),
        "next_checkpoints": ancient(segment_folder(run, segment)),
    }


def measured_code(kind, wildcards):
    """Fingerprint of a measurement, with the optimizer that makes its steps."""
    run = wildcards.run
    others = () if run in PLAN.trained else ("zsl.models.hf.folder",)
    if kind.step and not PLAN.runs[run].by_difference:
        return stepping_code("measure.py", run, *kind.modules(), *others)
    return code(
        "measure.py", (*kind.modules("differences" if kind.step else None), *others)
    )


def measured_parameters(kind, wildcards):
    """What a measurement depends on besides code and files, by name.

    One function for all of them: Snakemake calls each function for each job, which takes time.
    """
    run, layout = wildcards.run, PLAN.layout(wildcards.run)
    settings = EXPERIMENT.measurements.of(kind.name)
    # The number of sequences stands in the evaluation, which runs are asked makes no difference.
    own = settings.model_dump(mode="json", exclude={"runs"})
    of_block = layout.blocks if kind.every else layout.measured_blocks
    value = {
        "steps": list(of_block[wildcards.block]),
        "micro_batch_size": EXPERIMENT.measurements.micro_batch_size,
    }
    if kind.step and PLAN.runs[run].by_difference:
        steps = value["steps"]
        following = [[step, layout.following(step)] for step in steps]
        value |= {"on": "differences", "following": following}
    elif kind.step:
        value |= {
            "run": stepped_run(run),
            "data_order": data_order(run),
            "batches": getattr(settings, "batches", 1),
        }
    if kind.reads != "choices":
        asked = getattr(settings, "sequences", None)
        value["evaluation"] = evaluation_sequences(run, asked)
    if own.keys() - {"sequences"}:
        value["settings"] = own
    if run in FETCHED:
        value["source"] = fetched_source(run, wildcards.block)
    return value


def fetched_source(run, block):
    """What the fetched checkpoints of a block are made from, with the code that does it; of those
    that are trained here, their manifest says it."""
    segment = PLAN.layout(run).segment_of_block(block)
    return {**source_of(run, segment.name), "code": code("fetch.py")}


def data_order(run):
    """Which training sequences make the next batch: those after the last step in the shuffle of
    this seed; of runs trained elsewhere, the first of the corpus."""
    if run in PLAN.trained:
        return {"data_seed": EXPERIMENT.data_seed}
    return {"first": True}


def evaluation_sequences(run, asked):
    """The evaluation sequences of a measurement: the first ``asked`` of them; None: all."""
    evaluation = PLAN.corpus(run).evaluation
    return {
        "sequences": asked or evaluation.sequences,
        "sequence_length": evaluation.sequence_length,
    }


def stepped_run(run):
    """What the step after a checkpoint depends on, as plain values."""
    made = PLAN.runs[run]
    value = made.model_dump(mode="json", exclude={"checkpoints", "seed", "source"})
    return {**value, "batch_size": made.update_batch_size}


def curve_options(curve):
    """Settings of a curve, as plain values."""
    figures = EXPERIMENT.figures
    if curve == "token_landscapes":
        return {"tokens": figures.landscape_tokens, "seed": figures.landscape_seed}
    return {}


checked(check_texts, EXPERIMENT, Path.cwd())
checked(check_tokens)
if workflow.is_main_process:
    checked(check_imported, PLAN)
