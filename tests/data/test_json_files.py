"""JSON as people have it: arrays, tables by columns, over several lines, with NaN."""

import json
from pathlib import Path

import pandas as pd
import pytest

from zsl.config.sources import FileSource
from zsl.data import json_files
from zsl.data.json_files import json_records, jsonl_records
from zsl.data.sources import Place, Reading, documents
from zsl.errors import DataError

RECORDS = [{"text": "one", "n": 1}, {"text": "two\nlines é"}, {"text": '}{][ " , '}]


def refuse(message: str) -> None:
    raise DataError(message)


def found(tmp_path: Path, text: str, name: str = "a.json") -> list:
    (tmp_path / name).write_text(text)
    read = json_records if name.endswith(".json") else jsonl_records
    return [record for _, record in read(tmp_path / name, name, "", refuse)]


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(json.dumps, RECORDS)),
        "".join(map(json.dumps, RECORDS)),
        json.dumps(RECORDS),
        json.dumps(RECORDS, indent=2),
        "\n\n " + json.dumps(RECORDS, ensure_ascii=False, indent="\t") + "\n\n",
        "\n".join(json.dumps(record, indent=2) for record in RECORDS),
        pd.DataFrame(RECORDS).to_json(orient="records", indent=1),
    ],
    ids=["lines", "joined", "array", "indented", "blanks", "jq", "pandas"],
)
def test_records_in_every_layout(tmp_path: Path, text: str, piece: int, monkeypatch) -> None:
    monkeypatch.setattr(json_files, "_PIECE", piece)
    texts = [record["text"] for record in found(tmp_path, text)]
    assert texts == [record["text"] for record in RECORDS]


def test_places_of_records_are_lines(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[\n {"a": 1},\n\n {\n"a": 2}, 5]\n')
    read = json_records(tmp_path / "a.json", "a", "", refuse)
    assert [*read] == [(2, {"a": 1}), (4, {"a": 2}), (5, 5)]


@pytest.mark.parametrize("text", ["[]", " [ ]\n", "", "\n\n", '{"text": []}'])
def test_no_records(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text) == []


@pytest.mark.parametrize(("piece", "text"), [(1, "[12, 345]"), (3, "[12, 345]"), (2, "12 345")])
def test_numbers_are_not_cut(tmp_path: Path, piece: int, text: str, monkeypatch) -> None:
    monkeypatch.setattr(json_files, "_PIECE", piece)
    assert found(tmp_path, text) == [12, 345]


def test_an_object_of_columns_is_a_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", None], "n": [1, 2]})
    rows = [{"text": "a", "n": 1}, {"text": None, "n": 2}]
    assert found(tmp_path, frame.to_json()) == rows
    assert found(tmp_path, json.dumps(frame.to_dict("list"))) == rows
    assert found(tmp_path, '{"text": ["a", "b"]}') == [{"text": "a"}, {"text": "b"}]
    assert found(tmp_path, '{"data": [{"text": "a"}]}') == [{"data": {"text": "a"}}]


def test_a_record_with_lists_is_no_table(tmp_path: Path) -> None:
    for record in ({"title": "x", "text": ["a", "b"]}, {"a": ["x"], "b": ["y", "z"]}, {"a": {}}):
        assert found(tmp_path, json.dumps(record, indent=1)) == [record]
    lines = '{"text": ["a", "b"]}\n{"text": ["c", "d"]}'
    assert len(found(tmp_path, lines)) == 2
    assert len(found(tmp_path, '{"text": ["a", "b"]}', "a.jsonl")) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a": 1},\n {"a": 2]', r"line 2: not a JSON record \(Expecting ',' delimiter\)"),
        ('[{"a": 1}\n {"a": 2}]', r"line 2: not JSON \(expected ',', found '\{'\)"),
        ('[{"a": 1},\n]', r"line 2: not a JSON record"),
        ('[{"a": 1}]\n[{"a": 2}]', r"line 2: not JSON \(expected nothing more, found '\['\)"),
        ('[{"a": 1}', r"line 1: not JSON \(expected ',', found the end\)"),
        ('{"a": 1},\n{"a": 2}', r"line 1: not a JSON record"),
        ('{\n"a": \n', r"line 3: not a JSON record \(Expecting value\)"),
        ("[" * 5000, r"line 1: not a JSON record \(maximum recursion"),
    ],
)
def test_damage_is_named_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=rf"a\.json, {said}"):
        found(tmp_path, text)


def test_a_record_may_be_as_long_as_a_document(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(json_files, "LONGEST", 1 << 18)
    assert len(found(tmp_path, json.dumps(["x" * (1 << 17)] * 9))) == 9
    with pytest.raises(DataError, match="or one longer than 262,144 bytes"):
        found(tmp_path, json.dumps(["x", "x" * (1 << 19)]))
    with pytest.raises(DataError, match="too long"):  # though it is read with what follows
        found(tmp_path, json.dumps(["x" * (3 << 17)]))


def test_json_lines_say_what_else_a_line_is(tmp_path: Path) -> None:
    for text, said in [
        ('[{"text": "a"}, {"text": "b"}]', r"line 1: a JSON array, no record; .*named \.json"),
        ('{"text": "a"}{"text": "b"}', r"line 1: .*Extra data.*one a line"),
        ('{"text": "a"},\n{"text": "b"}', r"line 1: .*Extra data"),
        ('{"text": "a"}\n\0\0\0\0', r"line 2: not a JSON record"),
        ("{\n", "line 1: not a JSON record"),
    ]:
        with pytest.raises(DataError, match=said):
            found(tmp_path, text, "a.jsonl")


def test_missing_values_of_python_and_pandas_are_no_words(tmp_path: Path) -> None:
    rows = [{"text": float("nan")}, {"text": None}, {"text": float("inf")}, {"text": 2.5}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    frame = pd.DataFrame({"text": ["x", None]})
    frame.to_json(tmp_path / "b.jsonl", orient="records", lines=True)
    source = FileSource(kind="files", paths=["*.jsonl"], fields=["text"])
    reading = Reading("")
    place = Place(tmp_path, tmp_path, tmp_path)
    assert [*documents(source, place, reading)] == ["2.5", "x"]
    assert reading.empty == 4
