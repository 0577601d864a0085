"""What figures, tables and the comparison with the paper read, and how the report shows them."""

import os

from zsl.config.flops import training_step
from zsl.files import read_json
from zsl.fits.words import sentences
from zsl.registry.inputs import runs_of, shown_runs
from zsl.registry.target import BEYOND

REPORTED = {"figure": "svg", "table": "html"}


def run_info(run, settings=False, flops=False):
    """What figures and tables say about a run, as plain values."""
    info = {"id": run, "label": run.split("-", 1)[1], "imported": run in PLAN.imported}
    if run in PLAN.imported:
        return {**info, "n_parameters": PLAN.imported[run].parameters}
    made = PLAN.runs[run]
    shown = {"settings": made.model_dump(mode="json")} if settings else {}
    if flops:
        shown["step_flops"] = training_step(made, PLAN.corpus(run).tokenizer.rows).total
    others = {"logged_elsewhere": True} if run in PLAN.logged_elsewhere else {}
    return {**info, "n_parameters": size(run), **others, **shown}


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
    fetched = [run for run in shown_runs(PLAN, asked) if run in FETCHED]
    faults = [f"{RESULTS}/checkpoints/{run}.faults.json" for run in fetched]
    return {
        kind: [curve_file(kind, run) for run in runs_of(PLAN, asked, kind)]
        for kind in asked.inputs
    } | ({"faults": faults} if faults and asked.inputs else {})


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
        "runs": [run_info(run, asked.settings, asked.flops) for run in shown],
        "sizes": sizes if asked.kind == "figure" else [],
        "seeds": (
            {run: PLAN.seeds[run] for run in shown if run in PLAN.seeds}
            if asked.claims or asked.seeds
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
    """What the report's lists say of a file of a figure or table.

    A label after the first that has two values, as often, becomes a switch, which starts at the
    value that comes first in the alphabet. With two further labels, a list of two targets would
    have a switch between them, of which the report knows no values; so there is one.
    """
    shown = TARGETS[target]
    heading = f"{shown.heading}: " if shown.number is not None else ""
    return {"title": heading + shown.title, "what": file}


def published_values():
    """The authors' values that can be read here, by what they are of.

    Only an experiment with the paper's models and data is held against their curves.
    """
    if not EXPERIMENT.comparable:
        return {}
    folder = Path(os.environ.get("ZSL_PUBLISHED_DIR", ""))
    named = {
        "published_losses": folder / "bnsl_fit.json",
        "published_delta_loss": folder / "loss_intrf_dt_t.csv",
        "published_gradient_opposition": folder / "grad_intrf_proxy.csv",
    }
    found = {key: str(path) for key, path in named.items() if path.is_file()}
    imported = [
        PLAN.imported[run] for run in PLAN.run_ids("main") if run in PLAN.imported
    ]
    theirs = [source for source in imported if source.format == "authors"]
    if theirs and "published_losses" not in found:
        found["published_losses"] = imported_file(theirs[0])
    return found


def evaluated_on():
    """The evaluation text of suite main's runs that were trained elsewhere, in words."""
    runs = [run for run in PLAN.run_ids("main") if run in FETCHED]
    sets = [PLAN.corpus(run).evaluation for run in runs]
    words = dict.fromkeys(
        f"{of.sequences:,} sequences of {of.sequence_length:,}" for of in sets
    )
    return f"{' and '.join(words)} tokens" if words else ""


def compared_files(wildcards):
    """Tables and curves that are held against the paper's, and the authors' values."""
    published = published_values()
    files = {table: target_file(table, "csv") for table in COMPARED}
    trained = [run for run in PLAN.run_ids("main") if run in PLAN.runs]
    if "published_losses" in published:
        files["train_loss"] = [
            curve_file("train_loss", run) for run in PLAN.run_ids("main")
        ]
    for kind in ("delta_loss", "gradient_opposition"):
        if f"published_{kind}" in published and trained:
            files[kind] = [curve_file(kind, run) for run in trained]
    return {**files, **published}


def target_file(target, suffix):
    """Path of a figure or table."""
    return f"{RESULTS}/{TARGETS[target].kind}s/{target}.{suffix}"


def shown_file(target):
    """The file of a figure or table that the report shows."""
    return target_file(target, REPORTED[TARGETS[target].kind])


def said_of_fits():
    """What the report's first page says of the fits that are there."""
    paths = [Path(curve_file("fits", run)) for run in (*PLAN.runs, *PLAN.imported)]
    fits = [checked(read_json, path) for path in paths if path.is_file()]
    found = sum(not fit["doubts"] for fit in fits)
    said = f"{found} of {len(fits)} fits found a deceleration without doubt."
    return " ".join([said, *sentences(fits)])


# Its template knows nothing but the configuration.
if "--report" in sys.argv:
    for path in [*map(shown_file, TARGETS), f"{RESULTS}/provenance/root.html"]:
        checked(require_readable, path)
    config["said_of_fits"] = said_of_fits()

COMPARISON = "Ours against the paper"
COMPARED = [table for table in of_kind("table") if printed_values(table)]
