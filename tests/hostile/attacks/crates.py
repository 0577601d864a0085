"""Results of others, packed into a crate that is handed on."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from attacks import row, rows
from attacks.records_files import FIT, RECORDS, Change, change_record, made, of_key

KIND = "crates"


def laid(project: Path) -> Path:
    """A project with a small experiment of records."""
    (project / "Snakefile").write_text("rule all:\n    input: []\n")
    (project / "config.yaml").write_text("experiment: small\n")
    return made(project)


def packed(project: Path) -> zipfile.ZipFile:
    from zsl.crate.run import read_run
    from zsl.crate.write import write_crate

    out = project / "results" / "state.zip"
    write_crate(out, read_run("results/small", configfiles=[Path("config.yaml")]))
    return zipfile.ZipFile(out)


def of_record(change: Change, project: Path) -> Iterator[None]:
    """A crate of results of which a record is otherwise."""
    change_record(laid(project) / FIT, change)
    yield
    packed(project)


NONE = f"results/small/{FIT} is no record that can be read"
CHANGES = (
    "an output that leads out of the results",
    "a folder with files that lead out of it",
    "a rule that is a command",
    "parameters that are a list",
)
rows(KIND, of_record, {name: (RECORDS[name][0], NONE) for name in CHANGES})


LINKS: dict[str, tuple[Callable[[Path], Path], None]] = {
    "a link among the records to a secret": (lambda made: made / "lineage/history/x.json", None),
    "a link for a figure's caption to a secret": (lambda made: made / "figures/fig03.md", None),
}


def of_link(place: Callable[[Path], Path], project: Path) -> Iterator[None]:
    """A crate in which the secret would be, were the link followed."""
    link = place(laid(project))
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(project.parent / "outside" / "secret.txt")
    yield
    with packed(project) as archive:
        assert all(b"a secret" not in archive.read(name) for name in archive.namelist())


rows(KIND, of_link, LINKS)


@row(KIND, "names of markup and paths in a crate, which are only names", None)
def names(project: Path) -> Iterator[None]:
    results = laid(project)
    markup = "<script>alert(1)</script>"
    change_record(results / FIT, of_key(params={markup: f'"{markup}"', "seed": 1}))
    yield
    with packed(project) as archive:
        listed = archive.namelist()
        page = archive.read("ro-crate-preview.html").decode()
    assert markup not in page
    for name in listed:
        assert not name.startswith("/") and ".." not in name.split("/") and "\\" not in name


@row(KIND, "a pipe for an artifact", "no plain file")
def pipe(project: Path) -> Iterator[None]:
    path = laid(project) / "fits/main-1k.json"
    path.unlink()
    os.mkfifo(path)
    yield
    packed(project)
