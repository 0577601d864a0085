"""The report in a real browser: it opens, images load, search and navigation work, offline.

On the tiny experiment always; on mini where its results are there (``make all``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import browser
import pytest

from zsl import registry
from zsl.config.load import load

ROOT = Path(__file__).parents[2]
MAIL = 15e6
"""Largest report, bytes, that can be mailed."""
LINKS = "return [...document.querySelectorAll('nav a')].map(link => link.innerText.trim())"
CLICK = """
const link = [...document.querySelectorAll('nav a, nav button')]
  .find(link => link.innerText.trim() == arguments[0]);
if (!link) return false;
link.click();
return true;
"""
ROWS = "return [...document.querySelectorAll('nav tbody tr')].map(row => row.innerText)"
VIEW = """
const row = [...document.querySelectorAll('nav tbody tr')]
  .find(row => arguments[0].every(word => row.innerText.includes(word)));
if (!row) return false;
row.querySelector('a').click();
return true;
"""
IMAGE = """
const images = [...document.querySelectorAll('img')].filter(image => !image.closest('nav'));
return images.length > 0 && images.every(i => i.complete && i.naturalWidth > 100);
"""
FRAME = """
const frame = document.querySelector('iframe');
return frame !== null && frame.getBoundingClientRect().height > 100;
"""


@pytest.fixture(scope="module", params=["tiny", "mini"])
def report(request, tmp_path_factory):
    """The zipped report of a finished experiment, unpacked, and its plan."""
    if request.param == "tiny":
        finished = request.getfixturevalue("finished")
        root, config, variables = finished.root, finished.config, finished.environment()
    else:
        root, config, variables = ROOT, "config/config.yaml", dict(os.environ)
        if not (root / "results/mini/figures/fig21.pdf").exists():
            pytest.skip("results/mini is not there: make all first")
    folder = tmp_path_factory.mktemp("report")
    path = folder / "report.zip"
    command = [sys.executable, "-m", "snakemake", "all", "--report", str(path)]
    subprocess.run([*command, "--configfile", config], cwd=root, env=variables, check=True)
    with zipfile.ZipFile(path) as packed:
        packed.extractall(folder)
    return path, folder / "report" / "report.html", load([root / config])


def test_it_is_small_enough_to_mail(report):
    assert 10_000 < report[0].stat().st_size < MAIL


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    """A browser at the report."""
    if why := browser.missing():
        pytest.skip(why)
    with browser.browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.post("url", url=report[1].as_uri())
        opened.wait("return document.querySelectorAll('nav a').length > 5")
        yield opened


def test_every_target_has_its_page_under_the_papers_sections(report, page):
    for target in registry.available(report[2]):
        assert page.run(CLICK, target.chapter), page.run(LINKS)
        words = [target.title, target.kind]
        page.wait(VIEW, words)
        page.wait(IMAGE if target.kind == "figure" else FRAME)
        assert any(target.title in row and "data" in row for row in page.run(ROWS))
        page.post("url", url=report[1].as_uri())
        page.wait("return document.querySelectorAll('nav a').length > 5")


def test_captions_are_those_of_the_experiment(report, page):
    html = report[1].read_text(encoding="utf-8")
    for target in registry.available(report[2]):
        assert target.title in html
    assert f"k = {report[2].experiment.curves.k}" in html


def test_search_finds_a_figure(report, page):
    typed = """
    const box = document.querySelector('nav input');
    const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
    set.call(box, arguments[0]);
    box.dispatchEvent(new Event('input', {bubbles: true}));
    """
    page.run(typed, "Sharpness")
    page.wait("return document.querySelector('nav').innerText.includes('Sharpness')")


def test_nothing_is_asked_of_the_network(report, page):
    page.post("url", url=report[1].as_uri())
    page.wait("return document.querySelectorAll('nav a').length > 5")
    asked = page.requested()
    assert asked, "the page itself"
    local = ("file:", "data:", "blob:", "about:", "chrome:")
    assert not [url for url in asked if not url.startswith(local)]
    assert not page.errors()
