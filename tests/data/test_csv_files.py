"""Tables as spreadsheets, pandas and Spark write them."""

import csv
import io
from pathlib import Path

import pandas as pd
import pytest

from zsl.data import csv_files
from zsl.data.csv_files import csv_records
from zsl.errors import DataError

TEXTS = ['He said "yes", twice.', "two\nlines\n\nand more", "tab\there", "plain; text", "'x'"]


def refuse(message: str) -> None:
    raise DataError(message)


def read(path: Path, data: str, columns: list[str], broken=refuse) -> list:
    path.write_text(data, newline="")
    return [*csv_records(path, path.name, "", path.suffix, columns, broken)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_what_pandas_writes(tmp_path: Path, separator: str, quoting: int, suffix: str) -> None:
    frame = pd.DataFrame({"id": range(5), "text": TEXTS})
    data = frame.to_csv(sep=separator, quoting=quoting)
    found = read(tmp_path / f"a{suffix}", data, ["text"])
    assert [record["text"] for _, record in found] == TEXTS
    assert [line for line, _ in found] == [2, 3, 7, 8, 9]


def test_missing_cells_are_none(tmp_path: Path) -> None:
    data = pd.DataFrame({"title": [None, "t"], "text": ["x", None]}).to_csv(index=False)
    found = read(tmp_path / "a.csv", data, ["title", "text"])
    assert [record for _, record in found] == [
        {"title": None, "text": "x"},
        {"title": "t", "text": None},
    ]


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv, line 1: no columns text; .*has id, body"):
        read(tmp_path / "a.csv", "id,body\n1,x\n", ["text"])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('text,n\nx,1\n"he said \\"no\\"",2\n', r"line 3: no row of CSV \(.*quotes in them"),
        ('text,n\nx,1\n"never closed,2\ny,3\n', r"line 3: no row of CSV \(unexpected end"),
        ("text,n\nx,1\ny, z,2\n", "line 3: 3 cells, but the header has 2"),
        ("text,n\nx\n", "line 2: 1 cells, but the header has 2"),
    ],
)
def test_rows_that_are_none_are_named_or_counted(tmp_path: Path, data: str, said: str) -> None:
    with pytest.raises(DataError, match=rf"a\.csv, {said}"):
        read(tmp_path / "a.csv", data, ["text"])
    told: list[str] = []
    found = read(tmp_path / "a.csv", data, ["text"], told.append)
    assert len(told) == 1 and len(found) == data.count("x,")


def test_long_cells_and_rows(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(csv_files, "LONGEST", 1 << 18)
    long = "word " * 40_000
    assert read(tmp_path / "a.csv", f"text\n{long}\n", ["text"]) == [(2, {"text": long})]
    cell = '"' + "some text\n" * 9_000 + '"'
    with pytest.raises(DataError, match="row that begins in line 3: longer than"):
        read(tmp_path / "a.csv", "text,b,c\nx,y,z\n" + ",".join([cell] * 3), ["text"])


def test_tsv_of_glue_with_quotes_of_its_own(tmp_path: Path) -> None:
    """Unquoted tables in which a cell begins with a quote are refused, not swallowed."""
    file = io.StringIO()
    csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None).writerows(
        [["text", "label"], ['"Yes," he said', "1"], ["no", "0"]]
    )
    with pytest.raises(DataError, match="line 2: no row of TSV"):
        read(tmp_path / "a.tsv", file.getvalue(), ["text"])
