"""The page that a person opens: figures and tables, and where everything else is."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

from zsl.crate.graph import Graph
from zsl.crate.run import LEFT_OUT, Artifact, Run
from zsl.crate.workflow import NOT_OF_RUN
from zsl.files import read_limited

LARGEST_TEXT = 1 << 20
"""Bytes of a caption."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }
img { max-width: 100%; }
figure { margin: 2em 0; }
"""


def preview(graph: Graph, run: Run) -> str:
    """The page as HTML; it needs no network and no script."""
    root = graph.root_dataset
    title = escape(root["name"])
    configuration = ", ".join(_link(quote(place), place) for place in run.places.values())
    note = NOT_OF_RUN if run.contradiction and configuration else ""
    tables = [each for kind in ("tables", "compare") for each in _made(run, kind, ".html")]
    digest = f"{run.results}/provenance/root.html"
    others = [_link("ro-crate-metadata.json", "each file, job, setting and package, described")]
    others += (
        [_link(digest, "the one digest of all records")] if (run.root / digest).is_file() else []
    )
    others += [_link(LEFT_OUT, "SHA-256 of what is not in this crate")] if run.left_out else []
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><meta charset="utf-8"><title>{title}</title>',
            f"<style>{STYLE}</style>",
            f"<h1>{title}</h1>",
            f"<p>{escape(root['description'])}</p>",
            f"<p>{escape(root['license'])}</p>",
            f"<p>Configuration: {configuration} {escape(note)}</p>",
            *(_figure(run, artifact) for artifact in _made(run, "figures", ".svg")),
            f"<p>Tables: {', '.join(_link(each.id, Path(each.path).stem) for each in tables)}</p>",
            f"<p>More: {', '.join(others)}</p>",
            "</html>",
            "",
        ]
    )


def _figure(run: Run, figure: Artifact) -> str:
    """A figure with its caption and its other files."""
    stem = figure.path.removesuffix(".svg")
    others = {
        a.path: a for a in run.artifacts.values() if a.carried and a.path.startswith(f"{stem}.")
    }
    text = Path(stem).name
    if f"{stem}.md" in others:
        text = read_limited(run.root / f"{stem}.md", LARGEST_TEXT).decode(errors="replace").strip()
    links = [_link(each.id, Path(path).suffix[1:]) for path, each in others.items()]
    return (
        f'<figure id="{escape(Path(stem).name)}"><img loading="lazy" alt="" src="{figure.id}">'
        f"<figcaption>{escape(text)} {', '.join(links)}</figcaption></figure>"
    )


def _made(run: Run, stage: str, suffix: str) -> list[Artifact]:
    """What jobs of a stage wrote last and is here, in the order of the experiment's targets."""
    start = f"{run.results}/{stage}/"
    made = [a for a in run.artifacts.values() if a.carried and a.path.startswith(start)]
    places = {f"{run.results}/{name}{suffix}": place for place, name in enumerate(run.expected)}
    return sorted(
        (artifact for artifact in made if artifact.path.endswith(suffix)),
        key=lambda artifact: (places.get(artifact.path, len(places)), artifact.path),
    )


def _link(path: str, text: str) -> str:
    return f'<a href="{escape(path)}">{escape(text)}</a>'
