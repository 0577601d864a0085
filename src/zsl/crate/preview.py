"""The page that a person opens: figures, tables, and where everything else is."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote

from rocrate.rocrate import ROCrate

from zsl.crate.artifacts import Artifact, Artifacts
from zsl.crate.software import short_version
from zsl.crate.workflow import NOT_OF_RUN, Run, places
from zsl.files import read_limited

LARGEST_TEXT = 1 << 20
"""Bytes of a caption."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }
img { max-width: 100%; }
figure { margin: 2em 0; }
table { border-collapse: collapse; }
th, td { padding: .15em .8em .15em 0; text-align: left; vertical-align: top; }
"""


def preview(crate: ROCrate, run: Run, artifacts: Artifacts, root: Path) -> str:
    """The page as HTML; it needs no network and no script."""
    title = escape(crate.root_dataset["name"])
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><meta charset="utf-8"><title>{title}</title>',
            f"<style>{STYLE}</style>",
            f"<h1>{title}</h1>",
            f"<p>{escape(crate.root_dataset['description'])}</p>",
            *_facts(crate, run),
            *_figures(run, artifacts, root),
            *_tables(run, artifacts),
            *_left_out(artifacts),
            *_root_digest(crate, run, root),
            "<h2>Everything</h2>",
            "<p>Each file, job, setting and package is described in "
            '<a href="ro-crate-metadata.json">ro-crate-metadata.json</a> '
            "(Provenance Run Crate 0.5).</p>",
            "</html>",
            "",
        ]
    )


def _facts(crate: ROCrate, run: Run) -> Iterator[str]:
    whole = crate.get("#run").properties()
    versions = sorted({short_version(job) for job in run.jobs if job.version})
    facts = {
        "License": str(crate.root_dataset["license"]),
        "Jobs": f"{len(run.jobs)}, from {whole['startTime']} to {whole['endTime']}",
        "Versions of the code": ", ".join(versions) or "not recorded",
    }
    rows = [f"<tr><th>{escape(k)}<td>{escape(v)}" for k, v in facts.items()]
    links = ", ".join(_link(quote(place), place) for place in places(run.configfiles).values())
    note = escape(f" ({NOT_OF_RUN})" if run.contradiction and links else "")
    yield f"<table>{''.join(rows)}<tr><th>Configuration<td>{links}{note}</table>"


def _figures(run: Run, artifacts: Artifacts, root: Path) -> Iterator[str]:
    for artifact in _made(artifacts, run, "figures", ".svg"):
        stem = artifact.path.removesuffix(".svg")
        others = [a for a in artifacts.values() if a.carried and a.path.startswith(f"{stem}.")]
        text = Path(stem).name
        if any(a.path == f"{stem}.md" for a in others):
            text = read_limited(root / f"{stem}.md", LARGEST_TEXT).decode(errors="replace")
        record = f"{run.results}/lineage/figures/{Path(stem).name}.json"
        links = [_link(a.id, Path(a.path).suffix[1:]) for a in others] + [_link(record, "record")]
        name = escape(Path(stem).name)
        image = f'<img loading="lazy" alt="{name}" src="{artifact.id}">'
        yield f'<figure id="{name}">{image if artifact.carried else _gone(artifact)}'
        yield f"<figcaption>{escape(text.strip())} {', '.join(links)}</figcaption></figure>"


def _tables(run: Run, artifacts: Artifacts) -> Iterator[str]:
    found = _made(artifacts, run, "tables", ".html") + _made(artifacts, run, "compare", ".html")
    if found:
        yield "<h2>Tables</h2><ul>"
        yield from (
            f"<li>{_link(a.id, Path(a.path).stem) if a.carried else _gone(a)}" for a in found
        )
        yield "</ul>"


def _gone(artifact: Artifact) -> str:
    return f"{escape(artifact.path)} was made, and was not there when this was exported."


def _left_out(artifacts: Artifacts) -> Iterator[str]:
    left = [a for a in artifacts.values() if a.origin == "job" and not a.carried]
    if left:
        size = sum(a.size or 0 for a in left) / 1e6
        yield "<h2>Not in this crate</h2>"
        yield (
            f"<p>{len(left)} artifacts, {size:,.1f} MB, such as checkpoints: the SHA-256 of each "
            "of their files is in " + _link("left-out.sha256") + ".</p>"
        )


def _root_digest(crate: ROCrate, run: Run, root: Path) -> Iterator[str]:
    page = f"{run.results}/provenance/root.html"
    if crate.get(f"{run.results}/provenance/") is not None and (root / page).is_file():
        yield f"<p>{_link(page, 'The one digest of all records')}</p>"


def _made(artifacts: Artifacts, run: Run, stage: str, suffix: str) -> list[Artifact]:
    """What jobs of a stage wrote last, in the order in which the experiment's targets are
    expected."""
    start = f"{run.results}/{stage}/"
    found = [a for a in artifacts.values() if a.origin == "job" and a.path.startswith(start)]
    places = {f"{run.results}/{name}{suffix}": place for place, name in enumerate(run.expected)}
    return sorted(
        (artifact for artifact in found if artifact.path.endswith(suffix)),
        key=lambda artifact: (places.get(artifact.path, len(places)), artifact.path),
    )


def _link(path: str, text: str | None = None) -> str:
    return f'<a href="{escape(path)}">{escape(text or path)}</a>'
