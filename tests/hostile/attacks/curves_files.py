"""Curves, step records and fits, and the authors' file of curves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attacks import add, row

KIND = "curves and fits"
HEADER = b"run,step,train_loss,smoothed_train_loss\n"
Read = Callable[[Path], object]


def of_bytes(name: str, data: bytes, read: Read, project: Path) -> Iterator[None]:
    """A file of the results with these bytes."""
    path = project / "results" / "small" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    yield
    read(path)


def curve(path: Path) -> None:
    from zsl.study import read_curve

    read_curve(path)


CURVES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "a.csv: not CSV"),
    "a header alone": (HEADER, "a.csv: no losses by step"),
    "a pickle": (b"\x80\x04\x95cposix\nsystem\n", "a.csv: not CSV"),
    "bytes that are not UTF-8": (HEADER + b"\xff\xfe,1,2,3\n", "a.csv: not CSV"),
    "a column that is missing": (b"run,step\na,1\n", "a.csv: has no column smoothed_train_loss"),
    "rows of many lengths": (HEADER + b"a,1,2,3,4,5,6\na\n", "a.csv: "),
    "text for a loss": (HEADER + b"a,1,2.0,=cmd|' /C calc'!A0\n", "a.csv: no losses by step"),
    "a step that is no whole number": (HEADER + b"a,1.5,2.0,2.0\n", "a.csv: no losses by step"),
    "a step of 100 digits": (HEADER + b"a," + b"9" * 100 + b",2.0,2.0\n", "a.csv: no losses by"),
    "steps that do not ascend": (HEADER + b"a,2,2.0,2.0\na,1,2.0,2.0\n", "its steps do not ascend"),
    "a quotation without an end": (HEADER + b'"a,1,2.0,2.0\n' * 1000, "a.csv: "),
    "a NUL in every field": (HEADER + b"\0,\0,\0,\0\n", "a.csv: "),
}
for name, (data, says) in CURVES.items():
    add(KIND, f"a curve of {name}", partial(of_bytes, "curves/a.csv", data, curve), says)


@row(KIND, "a curve of a terabyte", "larger than 268,435,456 bytes")
def sparse(project: Path) -> Iterator[None]:
    with (project / "a.csv").open("wb") as file:
        file.truncate(1 << 40)
    yield
    curve(project / "a.csv")


def losses(path: Path) -> None:
    from zsl.curves.train_loss import train_loss_curve

    train_loss_curve("main-a", [path], 1.2, 1)


STEPS = b"step,train_loss,learning_rate,grad_norm\n"
for name, data, says in (
    ("a step that is missing", STEPS + b"1,2.0,1,1\n3,2.0,1,1\n", "main-a: step 2 is missing"),
    ("text for a loss", STEPS + b"1,many,1,1\n", "hold what is no number"),
    ("other columns", b"a,b\n1,2\n", "has no column step, train_loss"),
):
    add(KIND, f"step records of {name}", partial(of_bytes, "a.steps.csv", data, losses), says)


def fitted(path: Path) -> None:
    from zsl.fits.result import fit_curve
    from zsl.study import read_curve

    settings = {"cut": 0, "k": 1.2, "replicates": 40, "block": 0.3, "seed": 0}
    fit_curve(read_curve(path), run="main-a", imported=False, note="", **settings)


def rows_of(values: list[str]) -> bytes:
    lines = [f"a,{step},2.0,{value}" for step, value in enumerate(values, 1)]
    return HEADER + "\n".join(lines).encode() + b"\n"


for name, values, says in (
    ("NaN", ["2.5"] * 50 + ["nan"] * 50, "main-a: "),
    ("infinity", ["2.5"] * 50 + ["inf"] * 50, "main-a: "),
    ("losses below 0", ["2.5"] * 50 + ["-1.0"] * 50, "main-a: "),
    ("two points", ["2.5", "2.4"], "main-a: "),
):
    add(KIND, f"a fit of {name}", partial(of_bytes, "a.csv", rows_of(values), fitted), says)


def fits(path: Path) -> None:
    from zsl.study import make_study

    values = {"experiment": "small", "comparable": False, "runs": []}
    make_study(values, {"fits": str(path)}).fits()


for name, data, says in (
    ("nested 100,000 deep", b"[" * 100_000, "fits.json: not JSON"),
    ("that is a list", b"[]", "fits.json: no fit of a run"),
    ("of a run that is no text", b'{"run": {"a": 1}}', "fits.json: no fit of a run"),
    ("that is cut off", b'{"run": "main', "fits.json: not JSON"),
    ("in UTF-16", '{"run": "a"}'.encode("utf-16"), "fits.json: not JSON"),
):
    add(KIND, f"a fit {name}", partial(of_bytes, "fits.json", data, fits), says)


def imported(path: Path, **settings: Any) -> None:
    from zsl.config.imported import ImportedCurve
    from zsl.curves.imported import imported_curve

    source = ImportedCurve.model_validate({"path": str(path), "values": "raw", **settings})
    imported_curve("main-14M", source, path, k=1.2, first=10)


def of_model(x: Any, y: Any) -> bytes:
    return json.dumps({"14M": {"smoothed_loss": {"x": x, "y": y}}}).encode()


NO_LOSS = "bnsl_fit.json: 14M: no smoothed_loss with as many x as y"
PUBLISHED: dict[str, tuple[bytes, str]] = {
    "nested 100,000 deep": (b"[" * 100_000, "bnsl_fit.json: not JSON"),
    "that are a list": (b"[]", "expected curves by the names of models"),
    "without the model": (b'{"37M": {}}', "holds no model '14M'; it has 37M"),
    "of other models with names of a megabyte": (
        json.dumps({"x" * 1_000_000: {}}).encode(),
        "holds no model '14M'",
    ),
    "without losses": (b'{"14M": {}}', NO_LOSS),
    "of text": (of_model([1, 2], ["a", "b"]), "bnsl_fit.json, point 1: loss 'a' is no number"),
    "of lists in lists": (of_model([[1, 2]], [[1, 2]]), "point 1: step of type list is no whole"),
    "of more steps than losses": (of_model([1, 2, 3], [1.0, 2.0]), NO_LOSS),
    "of no steps": (of_model([], []), "bnsl_fit.json: has no losses"),
    "of steps that do not ascend": (of_model([2, 1], [1.0, 2.0]), "point 2: step 1 after step 2"),
    "of a step below 0": (of_model([-1, 1], [1.0, 2.0]), "point 1: step -1 is not within 0 and"),
    "of a step of 100 digits": (of_model([10**100], [1.0]), "is not within 0 and 99,999,999"),
    "of NaN": (of_model([1, 2], [float("nan")] * 2), "has no finite loss at a step after 0"),
}
for name, (data, says) in PUBLISHED.items():
    read = partial(imported, format="authors", values="smoothed")
    add(KIND, f"the authors' curves {name}", partial(of_bytes, "bnsl_fit.json", data, read), says)

LOGGED: dict[str, tuple[str, bytes, str]] = {
    "CSV of a pickle": ("a.csv", b"\x80\x04\x95cposix\nsystem\n", "a.csv: not text in UTF-8"),
    "CSV of NUL": ("a.csv", b"step,loss\n1,\0\n", "a.csv, line 2: "),
    "CSV with a field of ten megabytes": (
        "a.csv", b'step,loss\n1,"' + b"2" * 10_000_000, "a.csv, line 2: not CSV: field larger",
    ),
    "CSV with a formula": ("a.csv", b"step,loss\n1,=cmd|' /C calc'!A0\n", "line 2: loss"),
    "CSV with a step of 300 digits": (
        "a.csv", b"step,loss\n" + b"9" * 300 + b",2.0\n", "line 2: step",
    ),
    "CSV with a loss of control characters": (
        "a.csv", b"step,loss\n1,\x1b[2J\n", "line 2: loss '\\x1b[2J' is no number",
    ),
    "JSON lines nested 100,000 deep": ("a.jsonl", b"[" * 100_000, "a.jsonl, line 1: not JSON"),
    "JSON lines of lists": ("a.jsonl", b"[1, 2]\n", "a.jsonl, record 1: expected keys and values"),
    "JSON lines with keys of a megabyte": (
        "a.jsonl", json.dumps({"x" * 1_000_000: 1}).encode(), "a.jsonl: has no column 'loss'",
    ),
    "trainer state of a list": ("trainer_state.json", b"[]", "has no log_history"),
    "trainer state with a history of words": (
        "trainer_state.json", b'{"log_history": ["loss"]}', "record 1: expected keys and values",
    ),
    "log of a million brackets": ("a.log", b"[step=" * 1_000_000, "a.log: no train losses as"),
}  # fmt: skip
for name, (file, data, says) in LOGGED.items():
    add(KIND, f"a {name}", partial(of_bytes, file, data, imported), says)


@row(KIND, "a log of a terabyte", "larger than 268,435,456 bytes")
def sparse_log(project: Path) -> Iterator[None]:
    with (project / "a.log").open("wb") as file:
        file.truncate(1 << 40)
    yield
    imported(project / "a.log")
