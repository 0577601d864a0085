"""The report in a real browser: it opens, images load, search and navigation work, offline.

On the tiny experiment always; on mini where its results are there (``make all``).
"""

from __future__ import annotations

import zipfile

import browser
import pytest

from zsl import registry
from zsl.config.load import load
from zsl.registry.target import BEYOND

pytestmark = pytest.mark.slow

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
KINDS = "return [...document.querySelectorAll('nav fieldset label')].map(kind => kind.innerText)"
"""Kinds of files that a list shows one of at a time, the one shown first."""
IMAGE = """
const images = [...document.querySelectorAll('img')].filter(image => !image.closest('nav'));
return images.length > 0 && images.every(i => i.complete && i.naturalWidth > 100);
"""
FRAME = """
const frame = document.querySelector('iframe');
return frame !== null && frame.getBoundingClientRect().height > 100;
"""


@pytest.fixture(scope="module", params=["whole", "mini"], ids=["tiny", "mini"])
def report(request, tmp_path_factory):
    """The zipped report of a finished experiment, unpacked, and its plan."""
    project = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("report")
    path = folder / "report.zip"
    project.snakemake("all", "--report", str(path))
    with zipfile.ZipFile(path) as packed:
        packed.extractall(folder)
    return path, folder / "report" / "report.html", load([project.config])


def test_it_is_small_enough_to_mail(report):
    assert 10_000 < report[0].stat().st_size < MAIL


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A browser."""
    if why := browser.missing():
        pytest.skip(why)
    with browser.browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture
def page(report, opened):
    """The browser at the first page of the report."""
    show(opened, report[1])
    return opened


def show(page, path):
    page.post("url", url="about:blank")
    page.post("url", url=path.as_uri())
    page.wait("return document.querySelectorAll('nav a').length > 5")


def test_every_target_has_its_page_under_the_papers_sections(report, page):
    for target in registry.available(report[2]):
        assert page.run(CLICK, target.chapter), page.run(LINKS)
        page.wait(f"return ({ROWS[7:]}).length > 0")
        title = target.title if target.number is None else f"{target.heading}: {target.title}"
        rows = [row.split("\t") for row in page.run(ROWS)]
        of_target = [words for name, *words in rows if name == title]
        if kinds := page.run(KINDS):
            assert kinds == [target.kind, "values"]
            assert len(of_target) == 1
            page.wait(VIEW, [title])
        else:
            assert {words[0] for words in of_target} == {target.kind, "values"}
            page.wait(VIEW, [title, target.kind])
        page.wait(IMAGE if target.kind == "figure" else FRAME)
        assert not page.errors()
        show(page, report[1])


def test_the_comparison_with_the_paper_has_its_page(page):
    assert page.run(CLICK, BEYOND), page.run(LINKS)
    page.wait(VIEW, ["Ours against the paper", "table"])
    page.wait(FRAME)


def test_captions_are_those_of_the_experiment(report):
    html = report[1].read_text(encoding="utf-8")
    for target in registry.available(report[2]):
        assert target.title in html
    assert f"k = {report[2].experiment.curves.k}" in html


def test_search_finds_a_figure_by_its_name(page):
    page.type("nav input", "fig10\n")
    page.wait(f"return ({ROWS[7:]}).length > 0")
    page.run("document.querySelector('nav tbody a').click()")
    page.wait(IMAGE)


def test_nothing_is_asked_of_the_network(page):
    asked = page.requested()
    assert asked, "the page itself"
    local = ("file:", "data:", "blob:", "about:", "chrome:")
    assert not [url for url in asked if not url.startswith(local)]
    assert not page.errors()
