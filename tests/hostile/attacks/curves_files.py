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


def published(path: Path) -> None:
    from zsl.curves.train_loss import published_curve

    published_curve("main-14M", "14M", path)


def of_model(x: Any, y: Any) -> bytes:
    return json.dumps({"14M": {"smoothed_loss": {"x": x, "y": y}}}).encode()


NO_CURVE = "bnsl_fit.json: 14M: x and y of its smoothed_loss are no curve"
NO_LOSS = "bnsl_fit.json: 14M: no smoothed_loss with x and y"
PUBLISHED: dict[str, tuple[bytes, str]] = {
    "nested 100,000 deep": (b"[" * 100_000, "bnsl_fit.json: not JSON"),
    "that are a list": (b"[]", "expected curves by the names of models"),
    "without the model": (b'{"37M": {}}', "holds no model '14M'; it has 37M"),
    "of other models with names of a megabyte": (
        json.dumps({"x" * 1_000_000: {}}).encode(),
        "holds no model '14M'",
    ),
    "without losses": (b'{"14M": {}}', NO_LOSS),
    "of text": (of_model([1, 2], ["a", "b"]), NO_LOSS),
    "of lists in lists": (of_model([[1, 2]], [[1, 2]]), NO_CURVE),
    "of more steps than losses": (of_model([1, 2, 3], [1.0, 2.0]), NO_CURVE),
    "of no steps": (of_model([], []), NO_CURVE),
    "of steps that do not ascend": (of_model([2, 1], [1.0, 2.0]), NO_CURVE),
    "of a step below 0": (of_model([-1, 1], [1.0, 2.0]), NO_CURVE),
    "of a step of 100 digits": (of_model([10**100], [1.0]), NO_LOSS),
    "of NaN": (of_model([1, 2], [1.0, float("nan")]), NO_CURVE),
}
for name, (data, says) in PUBLISHED.items():
    add(
        KIND,
        f"the authors' curves {name}",
        partial(of_bytes, "bnsl_fit.json", data, published),
        says,
    )
