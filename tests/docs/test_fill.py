"""Numbers are filled into Markdown, and those of the pages are what mini's results say."""

from __future__ import annotations

import re
import sys

import fill
import pytest
from values import ROOT, VALUES, Results, plan

from zsl.errors import ZslError


def filled(text):
    return fill.filled(text, Results(ROOT / "nothing", plan("config")), "page.md")


def test_what_stands_between_markers_is_replaced_and_nothing_else():
    text = (
        "# A\n\n`a` | after <!--= {} -->{}<!--/--> of <!--= n_sizes -->{}<!--/-->; <!-- b --> c\r\n"
    )
    once = text.format("window", "13", "three")
    assert filled(text.format("window", "", "`2` of <b>them</b>")) == filled(once) == once


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("after <!--= windo -->1<!--/--> tokens", r"'windo' is no value"),
        ("after <!--= window -->13 tokens", "half of it"),
        ("after <!--= window 13<!--/--> tokens", "half of it"),
        ("after 13<!--/--> tokens", "half of it"),
        ("after <!--= window -->1 of <!--= context -->2<!--/-->", "half of it"),
        ("<!--= window -->13<!--/--> tokens", "starts with a marker"),
        ("- > <!--= window -->13<!--/--> tokens", "starts with a marker"),
        ("1. <!--= window -->13<!--/--> tokens", "starts with a marker"),
    ],
)
def test_a_marker_that_would_not_be_filled_or_not_be_hidden_is_an_error(line, said):
    """GitHub takes a line that starts with a comment for HTML, and reads no Markdown in it."""
    with pytest.raises(ZslError, match=rf"page\.md:2: .*{said}"):
        filled(f"one\n{line}")


def test_the_pages_say_what_the_results_say(results):
    for old, new in fill.documents(results).values():
        assert new.splitlines() == old.splitlines()


def test_each_value_is_quoted():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "".join(path.read_text(encoding="utf-8") for path in pages)
    assert set(re.findall(r"<!--= (\w+) [^>]*-->", text)) == set(VALUES)


def test_the_command_shows_or_fills_what_differs_and_says_what_is_missing(
    monkeypatch, tmp_path, capsys
):
    page = tmp_path / "README.md"
    page.write_text("In windows <!--= window -->12<!--/--> long.\n")
    monkeypatch.setattr(fill, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["fill.py", "--check"])
    with pytest.raises(SystemExit, match="run: make docs"):
        fill.main()
    assert "+In windows <!--= window -->13<!--/--> long." in capsys.readouterr().out
    assert "12" in page.read_text()
    monkeypatch.setattr(sys, "argv", ["fill.py"])
    fill.main()
    assert page.read_text() == "In windows <!--= window -->13<!--/--> long.\n"
    page.write_text("A model of <!--= smallest_model -->1<!--/--> parameters.\n")
    with pytest.raises(SystemExit, match=r"table3\.csv: no such file; `make all`"):
        fill.main()
