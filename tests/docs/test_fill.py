"""Numbers are filled into Markdown, and those of the documents are what mini's results say."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from artifacts import ROOT, FillError, Mini, judged
from fill import differences, documents, filled, functions, lookup

VALUES = {"steps": "4,096", "sizes": "four"}


def fill(text, values=VALUES):
    named = {name: lambda mini, value=value: value for name, value in values.items()}
    return filled(text, lookup(named, mini=None), "page.md")


@pytest.mark.parametrize("old", ["", "12", "many and more", "`12` of <b>them</b>"])
def test_what_stands_between_is_replaced(old):
    text = f"After <!--= steps -->{old}<!--/--> steps of <!--= sizes -->x<!--/--> sizes."
    expected = "After <!--= steps -->4,096<!--/--> steps of <!--= sizes -->four<!--/--> sizes."
    assert fill(text) == expected


def test_it_is_filled_once_and_for_all():
    text = "# A\n\na | <!--=steps-->1<!--/--> |\n\n- b (<!--=  sizes -->2<!--/-->)\n"
    once = fill(text)
    assert fill(once) == once
    assert once.endswith("\n- b (<!--= sizes -->four<!--/-->)\n")


def test_other_text_stays():
    text = "A list <!-- zsl targets --> of `code`\r\n<!-- end -->\n\n\tand `` ` `` more\n"
    assert fill(text) == text


def test_code_stays():
    text = "See `<!--= nothing -->1<!--/-->`.\n\n```md\n<!--= nothing -->\n```\n"
    assert fill(text) == text


def test_code_before_a_value_does_not_hide_it():
    assert fill("`a` <!--= steps -->1<!--/--> `b`").count("4,096") == 1


def test_an_unknown_name_is_an_error_that_names_the_nearest():
    with pytest.raises(FillError, match=r"page\.md:3: 'step' .*did you mean 'steps'"):
        fill("one\n\nthree <!--= step -->1<!--/-->")


@pytest.mark.parametrize(
    "text",
    [
        "after <!--= steps -->4,096 steps",
        "after <!--= steps -->4,096\n<!--/--> steps",
        "after <!--= steps 4,096<!--/--> steps",
        "after <!--= steps -->1 of <!--= sizes -->2<!--/-->",
        "after <!--= steps -->1<!--/--> of <!--= sizes -->2",
    ],
)
def test_a_marker_that_is_not_closed_is_an_error(text):
    with pytest.raises(FillError, match=r"page\.md:1: '<!--= .*lacks its <!--/-->"):
        fill(text)


def test_an_end_without_a_beginning_is_an_error():
    with pytest.raises(FillError, match=r"page\.md:1: <!--/--> closes nothing"):
        fill("after 4,096<!--/--> steps")


@pytest.mark.parametrize("before", ["", "  ", "- ", "> ", "1. ", "- > "])
def test_a_marker_at_the_start_of_a_line_is_an_error(before):
    """GitHub takes such a line for HTML and does not read Markdown in it."""
    with pytest.raises(FillError, match="starts with a marker"):
        fill(f"{before}<!--= steps -->1<!--/--> steps")


def test_a_missing_artifact_is_an_error_that_says_where_it_is_quoted(tmp_path):
    value = lookup(functions(), Mini.of(tmp_path))
    with pytest.raises(FillError, match=r"page\.md:1: .*table3\.csv: no such file.*make all"):
        filled("of <!--= smallest_model -->1<!--/-->", value, "page.md")


def test_settings_need_no_results(tmp_path):
    value = lookup(functions(), Mini.of(tmp_path))
    assert value("paper_batch_tokens") == f"{2**19:,}"


def test_claims_are_read_from_the_lines_that_captions_have(tmp_path):
    import pandas as pd

    from zsl.claims import COLUMNS, sentences

    rows = [
        ["fig99", "it rises, says 1 of them", "the rise", 0.5, "main-a", "a", 3, 0.7, 0.6, 0.8],
        ["fig99", "it rises, says 1 of them", "the rise", 0.5, "main-b", "b", 1, -1e-7, None, None],
    ]
    table = pd.DataFrame([[*row, holds] for row, holds in zip(rows, ["yes", "no"], strict=True)])
    table.columns = pd.Index(COLUMNS)
    (line,) = sentences(table, "mini")
    found = judged(line, tmp_path)
    assert found.statement == "it rises, says 1 of them"
    assert (found.verdict, found.bound) == ("yes", 0.5)
    assert found.values == {"a": 0.7, "b": -1e-7}
    assert found.intervals == {"a": (0.6, 0.8)}


def test_a_claim_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(FillError, match="expected a claim"):
        judged("Claim: it rises. In mini it may hold.", tmp_path)


def test_the_documents_are_filled_with_what_mini_says(results):
    assert differences(documents(results)) == ""


def test_each_value_is_quoted():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "".join(path.read_text(encoding="utf-8") for path in pages)
    assert set(re.findall(r"<!--= (\w+) [^>]*-->", text)) == set(functions())


def test_check_shows_what_differs(monkeypatch, tmp_path):
    """On a copy of the programs, whose documents and results are made up."""
    for name in ("docs", "config"):
        (tmp_path / name).mkdir()
    for path in [*(ROOT / "docs").glob("*.py"), *(ROOT / "config").glob("*.yaml")]:
        (tmp_path / path.relative_to(ROOT)).write_bytes(path.read_bytes())
    page = tmp_path / "README.md"
    page.write_text("In <!--= steps_as_power -->2^3<!--/--> steps.\n")

    def run(*arguments):
        command = [sys.executable, "docs/fill.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    checked = run("--check")
    assert checked.returncode == 1
    assert "-In <!--= steps_as_power -->2^3<!--/--> steps." in checked.stderr
    assert "+In <!--= steps_as_power -->2^10<!--/--> steps." in checked.stderr
    assert "2^3" in page.read_text()
    assert run().returncode == 0
    assert page.read_text() == "In <!--= steps_as_power -->2^10<!--/--> steps.\n"
    assert run("--check").returncode == 0
    page.write_text("In <!--= nothing -->2^3<!--/--> steps.\n")
    wrong = run("--check")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: README.md:1: 'nothing'")
