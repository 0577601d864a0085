"""Curves, step records and fits, the authors' file of curves, and logs of other programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attacks import rows

KIND = "curves and fits"
HEADER = b"run,step,train_loss,smoothed_train_loss\n"
STEPS = b"step,train_loss,learning_rate,grad_norm\n"
PICKLE = b"\x80\x04\x95cposix\nsystem\n"
DEEP = b"[" * 100_000


def of_bytes(
    read: Callable[[Path], object], name: str, data: bytes | None, project: Path
) -> Iterator[None]:
    """A file of the results with these bytes; None: one of a terabyte."""
    path = project / "results" / "small" / name
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.write(data) if data is not None else file.truncate(1 << 40)
    yield
    read(path)


def curve(path: Path) -> None:
    from zsl.study import read_curve

    read_curve(path)


def losses(path: Path) -> None:
    from zsl.curves.train_loss import train_loss_curve

    train_loss_curve("main-a", [path], 1.2, 1)


def fitted(path: Path) -> None:
    from zsl.fits.result import fit_curve
    from zsl.study import read_curve

    settings = {"cut": 0, "k": 1.2, "replicates": 40, "block": 0.3, "seed": 0}
    fit_curve(read_curve(path), run="main-a", imported=False, note="", **settings)


def fits(path: Path) -> None:
    from zsl.study import make_study

    values = {"experiment": "small", "comparable": False, "runs": []}
    make_study(values, {"fits": str(path)}).fits()


def imported(path: Path, **settings: Any) -> None:
    from zsl.config.imported import ImportedCurve
    from zsl.curves.imported import imported_curve

    source = ImportedCurve.model_validate({"path": str(path), "values": "raw", **settings})
    imported_curve("main-14M", source, path, k=1.2, first=10)


authors = partial(imported, format="authors", values="smoothed")


def of_model(x: Any, y: Any) -> bytes:
    return json.dumps({"14M": {"smoothed_loss": {"x": x, "y": y}}}).encode()


def half(value: bytes) -> bytes:
    """A curve that is this value from its middle on."""
    values = [b"2.5"] * 50 + [value] * 50
    return HEADER + b"".join(b"a,%d,2.0,%s\n" % (n, v) for n, v in enumerate(values, 1))


FILES: dict[str, tuple[Callable[[Path], object], str, bytes | None, str]] = {
    "a curve of a pickle": (curve, "a.csv", PICKLE, "a.csv: not CSV"),
    "a curve of a terabyte": (curve, "a.csv", None, "larger than 268,435,456 bytes"),
    "a curve with a formula": (
        curve,
        "a.csv",
        HEADER + b"a,1,2.0,=cmd|' /C calc'!A0\n",
        "a.csv: no losses by step",
    ),
    "step records of text": (losses, "a.csv", STEPS + b"1,many,1,1\n", "hold what is no number"),
    "a fit of NaN": (fitted, "a.csv", half(b"nan"), "main-a: "),
    "a fit nested 100,000 deep": (fits, "fits.json", DEEP, "fits.json: not JSON"),
    "the authors' curves nested 100,000 deep": (authors, "a.json", DEEP, "a.json: not JSON"),
    "the authors' curves of lists in lists": (
        authors,
        "a.json",
        of_model([[1, 2]], [[1, 2]]),
        "point 1: step of type list is no whole",
    ),
    "the authors' curves of other models with names of a megabyte": (
        authors,
        "a.json",
        json.dumps({"x" * 1_000_000: {}}).encode(),
        "holds no model '14M'",
    ),
    "CSV with a field of ten megabytes": (
        imported,
        "a.csv",
        b'step,loss\n1,"' + b"2" * 10_000_000,
        "a.csv, line 2: not CSV: field larger",
    ),
    "CSV with a loss of control characters": (
        imported,
        "a.csv",
        b"step,loss\n1,\x1b[2J\n",
        "line 2: loss '\\x1b[2J' is no number",
    ),
    "JSON lines nested 100,000 deep": (imported, "a.jsonl", DEEP, "a.jsonl, line 1: not JSON"),
    "a log of a million brackets": (
        imported,
        "a.log",
        b"[step=" * 1_000_000,
        "a.log: no train losses as",
    ),
}
rows(KIND, of_bytes, FILES)
