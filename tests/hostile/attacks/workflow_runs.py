"""The workflow itself: what Snakemake makes of hostile configurations, and a report of markup."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attacks import Refused, row
from attacks.configs import CURVES, IMPORTED, WORDS, changed
from attacks.texts import words_of

KIND = "the workflow"
ROOT = Path(__file__).parents[3]


def laid(project: Path, values: object) -> None:
    """The workflow with this configuration."""
    shutil.copy(ROOT / "Snakefile", project)
    for name in ("workflow", "profiles"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "config.yaml").write_text(json.dumps(values))


def snakemake(*arguments: str) -> None:
    """Run the workflow. Raises Refused where it ends with another code than 0."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    command += ["--configfile", "config.yaml"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Refused(done.stdout)


@row(
    KIND,
    "an experiment named as a command",
    "Error in the configuration:\nexperiment = '$(touch executed)'",
)
def named(project: Path) -> Iterator[None]:
    laid(project, changed("experiment", "$(touch executed)"))
    yield
    snakemake("--dry-run", "all")


@row(KIND, "texts and file names of commands, formats and wildcards", None)
def texts(project: Path) -> Iterator[None]:
    """A job of each kind is run: Snakemake hands its wildcards and files on through a shell."""
    values = changed("description", WORDS)
    imported = {"runs": {"14M": {**IMPORTED, "note": WORDS}}}
    values["suites"]["main"] |= {"description": WORDS, "imported": imported}
    name = "$(touch executed); %s 'x' \"y\" -rf.txt"
    values["corpora"]["text"]["train"] = [{"kind": "files", "paths": [name]}]
    laid(project, values)
    (project / name).write_text(words_of(600))
    (project / "curves.json").write_text(CURVES)
    yield
    data, curves = "results/small/data/text/manifest.json", "results/small/curves/train_loss"
    snakemake(data, f"{curves}/main-14M.csv")
    assert (project / curves / "main-14M.csv").is_file()
    assert json.loads((project / data).read_text())["documents"] > 0


MARKUP = (
    ".. include:: ../outside/secret.txt\n\n.. raw:: html\n\n   <script>alert(1)</script>\n\n"
    "`a <javascript:alert(1)>`_ javascript:alert(1)\n\n.. |x| image:: x\n\n|x| {{ 7 * 7 }}"
)


@row(KIND, "captions and descriptions of markup in the report", None)
def report(project: Path) -> Iterator[None]:
    """Both texts of the report are rendered as Snakemake renders them."""
    from docutils.core import publish_parts
    from jinja2 import Environment

    class Job:
        config = {"description": MARKUP}

        class params:
            shown = MARKUP

    yield
    for name in ("workflow", "caption"):
        text = (ROOT / "workflow" / "report" / f"{name}.rst").read_text()
        rendered = Environment(trim_blocks=True, lstrip_blocks=True).from_string(text)
        settings = {"report_level": 5}
        parts = publish_parts(
            rendered.render(snakemake=Job), writer_name="html", settings_overrides=settings
        )
        page = parts["html_body"]
        assert "a secret" not in page and "<script>" not in page and "href" not in page
        assert "{{ 7 * 7 }}" in page and ".. include::" in page
