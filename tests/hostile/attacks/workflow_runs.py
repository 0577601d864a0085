"""The workflow itself: what Snakemake makes of hostile configurations and targets."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attacks import Refused, add, row
from attacks.configs import changed
from attacks.strings import WORDS, curve, curves_file
from attacks.texts import words_of

KIND = "the workflow"
ROOT = Path(__file__).parents[3]


def laid(project: Path, config: str | dict[str, Any]) -> None:
    """The workflow with this configuration."""
    shutil.copy(ROOT / "Snakefile", project)
    for name in ("workflow", "profiles"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    text = config if isinstance(config, str) else json.dumps(config)
    (project / "config.yaml").write_text(text)


def snakemake(*arguments: str) -> str:
    """What Snakemake says. Raises Refused where it ends with another code than 0."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(
        [*command, "--configfile", "config.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Refused(done.stdout)
    return done.stdout


def of_configuration(
    config: str | dict[str, Any], arguments: tuple[str, ...], project: Path
) -> Iterator[None]:
    laid(project, config)
    (project / "text.txt").write_text(words_of(600))
    yield
    snakemake("--dry-run", *arguments)


MISTAKE = "Error in the configuration:\n"
add(
    KIND,
    "an experiment named as a command",
    partial(of_configuration, changed("experiment", "$(touch executed)"), ("all",)),
    f"{MISTAKE}experiment = '$(touch executed)'",
)
add(
    KIND,
    "a key that stands there twice",
    partial(of_configuration, json.dumps(changed("threads", 1))[:-1] + ', "threads": 2}', ("all",)),
    "found the key 'threads' a second time",
)
add(
    KIND,
    "a target that leads out of the project",
    partial(of_configuration, changed("description", ""), ("../outside/secret.txt", "--force")),
    "../outside/secret.txt",
)


@row(KIND, "texts and file names of commands, formats and wildcards", None)
def texts(project: Path) -> Iterator[None]:
    """A job of each kind is run: Snakemake hands its wildcards and files on through a shell."""
    values = changed("description", WORDS)
    values["suites"]["main"] |= {"description": WORDS, "imported": curve(note=WORDS)}
    name = "$(touch executed); %s 'x' \"y\" -rf.txt"
    values["corpora"]["text"]["train"] = [{"kind": "files", "paths": [name]}]
    laid(project, values)
    (project / name).write_text(words_of(600))
    (project / "curves.json").write_text(curves_file())
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
