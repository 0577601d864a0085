import gzip
import json
from pathlib import Path

import pytest
import zstandard

from zsl.data import records
from zsl.data.fields import MissingFieldError, field_lines, record_text
from zsl.data.json_files import jsonl_records
from zsl.errors import DataError

RECORDS = [{"n": n, "text": f"line {n} é"} for n in range(1, 4)]
JSONL = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()


def refuse(message: str) -> None:
    raise DataError(message)


def test_zst_of_several_frames_is_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    frames = [zstandard.ZstdCompressor().compress(line + b"\n") for line in JSONL.splitlines()]
    path.write_bytes(b"".join(frames))
    found = list(jsonl_records(path, "a", ".zst", refuse))
    assert found == list(enumerate(RECORDS, 1))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_cut_off_compressed_file_is_an_error_and_not_a_short_file(
    tmp_path: Path, suffix: str
) -> None:
    many = JSONL * 20_000
    packed = gzip.compress(many) if suffix == ".gz" else zstandard.ZstdCompressor().compress(many)
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"a\.jsonl.*damaged after line \d+"):
        list(jsonl_records(path, path.name, suffix, refuse))


def test_a_line_that_is_not_json_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "one"}\n\n{"text": "two\n{"text": "four"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 3: not a JSON record"):
        list(jsonl_records(path, "a.jsonl", "", refuse))
    told: list[str] = []
    found = list(jsonl_records(path, "a.jsonl", "", told.append))
    assert [number for number, _ in found] == [1, 4]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("file", [(1, "one\ntwo\n\n \nthree\n")]),
        ("paragraph", [(1, "one\ntwo\n"), (3, "\n"), (4, " \nthree\n")]),
        ("line", [(1, "one\n"), (2, "two\n"), (3, "\n"), (4, " \n"), (5, "three\n")]),
    ],
)
def test_documents_of_plain_text(
    tmp_path: Path, unit: str, expected: list[tuple[int, str]]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n\n \nthree\n")
    assert list(records.plain_documents(path, "a", "", unit, refuse)) == expected


def test_an_unknown_suffix_names_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"notes\.pdf.*\.jsonl"):
        records.format_of("notes.pdf")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("part-0.v1.json.gz", (".json", ".gz")),
        ("BOOK.TXT", (".txt", "")),
        ("Data.JSONL.GZ", (".jsonl", ".gz")),
        ("notes.md", (".txt", "")),
        ("a.ndjson", (".jsonl", "")),
        ("a.Tsv.zst", (".tsv", ".zst")),
        ("https://example.org/a.jsonl.gz?download=true", (".jsonl", ".gz")),
    ],
)
def test_formats_by_suffix(name: str, expected: tuple[str, str]) -> None:
    assert records.format_of(name) == expected


def test_fields_reach_into_records_and_lists() -> None:
    record = {"q": "why", "doc": {"choices": ["a", "b"]}, "turns": [{"say": "x"}, {"say": 2}]}
    assert record_text(record, ["q", "doc.choices", "turns.say"]) == "why\na\nb\nx\n2"
    assert record_text({"doc.text": "flat", "doc": {"text": "deep"}}, ["doc.text"]) == "flat"


def test_what_is_null_gives_no_line() -> None:
    record = {"title": None, "text": "x", "score": float("nan"), "meta": None, "say": [None, "y"]}
    assert record_text(record, ["title", "text", "score", "meta.a", "say"]) == "x\ny"


@pytest.mark.parametrize(
    ("record", "field", "said"),
    [
        ({"a": "x"}, "text", "no field 'text'.*has a"),
        ({"doc": {"b": "x"}}, "doc.text", "no field 'doc.text' .*'text'.*has b"),
        ({"doc": "x"}, "doc.text", "is not a record"),
        ({"text": {"a": 1}}, "text", "holds dict"),
        ([], "", "holds list|no field|is not"),
    ],
)
def test_a_missing_field_says_what_is_there(record: object, field: str, said: str) -> None:
    if record == []:
        record, said = 3, "is not a record"
    with pytest.raises(MissingFieldError, match=said):
        field_lines(record, field)
