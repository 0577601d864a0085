"""The estimate as text."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill

from tabulate import tabulate

from zsl.gpus import GPUS
from zsl.planning.estimate import Cost, Estimate, RunCost, SuiteCost, TargetCost

WIDTH = 100

NOTES = """\
Training takes 6 N + 12 n_layers d_model S FLOPs a token, S tokens per sequence. N leaves out what
is looked up and counts the unembedding, which a tied embedding is, too. Left out: the optimizer's
own work and jobs without a GPU. GPU-hours are FLOPs over {utilisation:.0%} of {gpu}'s peak,
{bfloat16:g} TFLOP/s in bfloat16 and {float32:g} in float32, which measurements use."""


def as_text(found: Estimate) -> str:
    """Tables by suite, then corpora, jobs, targets and totals."""
    gpu = GPUS[found.gpu]
    notes = NOTES.format(
        utilisation=found.utilisation,
        gpu=found.gpu,
        bfloat16=gpu.bfloat16,
        float32=gpu.float32,
    )
    parts = [f"{found.experiment}: {found.description}", notes]
    parts += [_suite(suite) for suite in found.suites]
    parts += [_corpora(found), _targets(found.targets)]
    if found.missing:
        parts.append(fill(f"Not made by this experiment: {', '.join(found.missing)}.", WIDTH))
    rules = ", ".join(f"{rule} {n:,}" for rule, n in found.rules.items())
    parts.append(fill(f"Jobs: {rules}.", WIDTH))
    total = found.total
    parts.append(
        f"Total: {total.jobs:,} jobs, {total.flops:.2e} FLOPs, {hours(total.gpu_hours)} "
        f"{found.gpu}-hours, {size(total.bytes)} of checkpoints and measurements."
    )
    return "\n\n".join(parts)


def _suite(suite: SuiteCost) -> str:
    rows = [_run(run) for run in suite.runs]
    columns = (
        "run parameters N steps tokens seg-|ments FLOPs GPU-|hours check-|points storage "
        "measured:|jobs GPU-|hours"
    )
    head = f"Suite {suite.name}" + (f": {suite.description}" if suite.description else "")
    lines = [fill(head, WIDTH), "", _table(rows, columns)]
    kinds = dict.fromkeys(name for run in suite.runs for name in run.measurements)
    measured = [
        [name, *_cost(_add(run.measurements.get(name, Cost()) for run in suite.runs))]
        for name in kinds
    ]
    for where in dict.fromkeys(run.where for run in suite.runs if run.where):
        runs = [run for run in suite.runs if run.where == where]
        n, total = sum(run.checkpoints for run in runs), size(sum(run.fetched for run in runs))
        lines += ["", f"Fetched from {where}, and dropped: {n} checkpoints, {total}."]
    if measured:
        lines += ["", _table(measured, "measurement jobs FLOPs GPU-|hours storage")]
    return "\n".join(lines)


def _run(run: RunCost) -> list[str]:
    label = run.id.split("-", 1)[1]
    if run.imported:
        number = "" if run.parameters is None else f"{run.parameters:,}"
        return [label, number, "imported"]
    measured = _add(run.measurements.values())
    return [
        label,
        f"{run.parameters:,}",
        f"{run.multiplied:,}",
        f"{run.steps:,}",
        f"{run.tokens:.3g}",
        *_cost(run.training)[:3],
        f"{run.checkpoints:,}",
        size(run.training.bytes),
        f"{measured.jobs:,}",
        hours(measured.gpu_hours),
    ]


def _add(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())


def _corpora(found: Estimate) -> str:
    rows = [
        [
            corpus.name,
            f"{corpus.read:.4g}",
            "as the sources have" if corpus.kept is None else f"{corpus.kept:.4g}",
            "as the servers have"
            if corpus.downloaded is None
            else size(corpus.downloaded) or "none",
        ]
        for corpus in found.corpora
    ]
    return "Corpora\n\n" + _table(rows, "corpus tokens|read tokens|kept download") if rows else ""


def _targets(targets: tuple[TargetCost, ...]) -> str:
    rows = [
        [
            target.id,
            f"{target.jobs:,}",
            f"{len(target.trained) or ''}",
            hours(target.training.gpu_hours),
            ", ".join(target.measurements),
            hours(target.measuring.gpu_hours),
            size(target.training.bytes + target.measuring.bytes),
        ]
        for target in targets
    ]
    columns = "target jobs trained|runs GPU-|hours measured|by GPU-|hours storage"
    return "Each figure and table, if it alone is made\n\n" + _table(rows, columns)


def _cost(cost: Cost) -> list[str]:
    flops = f"{cost.flops:.2e}" if cost.flops else ""
    return [f"{cost.jobs:,}", flops, hours(cost.gpu_hours), size(cost.bytes)]


def _table(rows: list[list[str]], columns: str) -> str:
    names = columns.split(" ")
    headers = [name.replace("|", "\n") for name in names]
    words = {"run", "corpus", "target", "measurement", "measured|by"}
    align = ["left" if name in words else "right" for name in names]
    filled = [[*row, *[""] * (len(headers) - len(row))] for row in rows]
    return tabulate(filled, headers, tablefmt="simple", colalign=align, disable_numparse=True)


def hours(number: float) -> str:
    """Hours with two digits, or whole; hundredths are the least that is told apart."""
    if number == 0:
        return ""
    if number < 0.01:
        return "< 0.01"
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def size(number: float) -> str:
    """Bytes in powers of 1,000."""
    if number == 0:
        return ""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            break
        number /= 1000
    return f"{number:.3g} {unit}"
