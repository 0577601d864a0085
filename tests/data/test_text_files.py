"""One text in the shapes that systems give it: line ends, marks, encodings, containers."""

import codecs
import csv
import gzip
import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import zstandard

from zsl.config.sources import FileSource
from zsl.data.sources import Place, Reading, documents
from zsl.data.text_files import PIECE, lines, normal
from zsl.errors import DataError

PARAGRAPHS = ["One line,\nand a second.", "Naïve café: 'x', \"y\".", "The last."]
TEXT = "\n\n".join(PARAGRAPHS) + "\n"


def read(folder: Path, name: str, data: bytes | None = None, **declared) -> list[str]:
    if data is not None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    source = FileSource.model_validate(
        {"kind": "files", "paths": [name], "fields": ["text"], **declared}
    )
    return [*documents(source, Place(folder, folder / "fetched", folder / "scratch"), Reading(""))]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_plain_text_is_the_same_with_every_line_end(tmp_path, end, mark, suffix) -> None:
    data = (mark + TEXT.replace("\n", end)).encode()
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}
    for unit, expected in (
        ("paragraph", PARAGRAPHS),
        ("line", [line for line in TEXT.split("\n") if line]),
        ("file", [TEXT.strip()]),
    ):
        assert read(tmp_path, f"a.txt{suffix}", pack[suffix](data), documents=unit) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_line_ends_are_found_wherever_pieces_are_cut(tmp_path: Path, end: str) -> None:
    for before in range(PIECE - 4, PIECE + 4):
        path = tmp_path / "a.txt"
        path.write_bytes(b"x" * before + end.encode() + b"y" * 4096 + end.encode() + b"z")
        found = [line.decode() for line in lines(path, "a.txt", "")]
        assert found == ["x" * before + "\n", "y" * 4096 + "\n", "z"]


def test_a_file_that_ends_in_the_middle_of_a_line_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\r\rb\r")
    assert [*lines(tmp_path / "a.txt", "a", "")] == [b"a\n", b"\n", b"b\n"]


def written(kind: str, texts: list[str]) -> bytes:
    """A table of texts as pandas, pyarrow and json write it."""
    frame, file = pd.DataFrame({"text": texts}), io.BytesIO()
    if kind == ".jsonl":
        frame.to_json(file, orient="records", lines=True)
    elif kind == ".json":
        frame.to_json(file, orient="records")
    elif kind == ".csv":
        frame.to_csv(file)
    elif kind == ".parquet":
        frame.to_parquet(file)
    else:
        table = pa.Table.from_pandas(frame)
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return file.getvalue()


@pytest.mark.parametrize("kind", [".jsonl", ".json", ".csv", ".parquet", ".arrow"])
def test_texts_in_records_have_normal_line_ends_and_no_marks(tmp_path: Path, kind: str) -> None:
    odd = [f"\ufeff{text}".replace("\n", "\r\n") for text in PARAGRAPHS]
    assert read(tmp_path, f"a{kind}", written(kind, odd)) == PARAGRAPHS
    assert read(tmp_path, f"b{kind}", written(kind, PARAGRAPHS)) == PARAGRAPHS


@pytest.mark.parametrize("kind", [".jsonl", ".json", ".csv"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_of_records_have_line_ends_and_marks_of_their_own(tmp_path, kind, end) -> None:
    data = codecs.BOM_UTF8 + written(kind, PARAGRAPHS).replace(b"\n", end.encode())
    assert read(tmp_path, f"a{kind}", data) == PARAGRAPHS


def test_a_group_is_the_same_with_every_line_end(tmp_path: Path) -> None:
    rows = [{"of": f"a{end}b", "text": f"x{end}y"} for end in ("\n", "\r\n", "\r")]
    data = "\n".join(map(json.dumps, rows)).encode()
    assert read(tmp_path, "a.jsonl", data, group_by="of") == ["a\nb\nx\ny"]
    with pytest.raises(DataError, match="line 2: field 'of' is null, which is no group"):
        read(
            tmp_path,
            "a.jsonl",
            data.splitlines()[0] + b'\n{"of": null, "text": "x"}',
            group_by="of",
        )


def test_other_line_separators_are_text(tmp_path: Path) -> None:
    text = "a\u2028b\x85c\x0cd\x1ce"
    assert normal(text) == text
    data = json.dumps({"text": text}, ensure_ascii=False).encode()
    assert read(tmp_path, "a.jsonl", data) == [text]
    assert read(tmp_path, "a.txt", text.encode()) == [text]


def test_marks_of_files_that_were_joined(tmp_path: Path) -> None:
    both = "\ufeffone\n\n\ufefftwo \ufeffthree".encode()
    assert read(tmp_path, "a.txt", both) == ["one", "two \ufeffthree"]


def test_copies_with_other_line_ends_are_duplicates_and_no_evaluation_text_is_in_training(
    tmp_path: Path, passages, build
) -> None:
    texts = [text.replace(": ", ":\n").replace(" sen ", "\nsen ") for text in passages(120)]
    (tmp_path / "unix.txt").write_bytes("\n\n".join(texts).encode())
    (tmp_path / "windows.txt").write_bytes("\ufeff".encode() + "\r\n\r\n".join(texts).encode())
    (tmp_path / "mac.txt").write_bytes("\r\r".join(texts).encode())
    source = {"kind": "files", "paths": ["unix.txt", "windows.txt", "mac.txt"]}
    built = build({"train": [source]})
    (report,) = built.manifest.sources
    assert report.documents == 360 and report.duplicates == 240
    split = {
        name: np.fromfile(built.tokens / f"{name}-00000.bin", "<u2") for name in ("train", "eval")
    }
    windows = {
        name: {ids[n : n + 13].tobytes() for n in range(len(ids) - 12)}
        for name, ids in split.items()
    }
    assert windows["eval"] and not windows["eval"] & windows["train"]


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-16", r"UTF-16 \(it begins with the mark FF FE\); convert it: iconv -f UTF-16"),
        ("utf-16-be", r"UTF-16BE \(half of its bytes are NUL\)"),
        ("utf-16-le", r"UTF-16LE \(half of its bytes are NUL\)"),
        ("utf-32", r"UTF-32 \(it begins with the mark FF FE 00 00\)"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.json", "a.csv"])
def test_other_encodings_are_named(tmp_path: Path, encoding: str, said: str, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: not UTF-8 text but {said}"):
        read(tmp_path, name, json.dumps([{"text": TEXT}]).encode(encoding))


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_text_of_windows_is_shown_as_it_would_read(tmp_path: Path, name: str) -> None:
    said = rf"{name}, line [12]: .*not UTF-8 text \(byte 0xfc; .*gr\\?ün.*iconv -f WINDOWS-1252"
    with pytest.raises(DataError, match=said):
        data = '{"text": "grün"}' if name == "a.jsonl" else "text\ngrün"
        read(tmp_path, name, data.encode("cp1252"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"text", mtime=0), "a compressed file: decompress it"),
        (zstandard.compress(b"text"), r"may be .gz or .zst, and is called so"),
        (b"PK\x03\x04....", "a zip, such as"),
        (b"%PDF-1.7", "a PDF"),
        (b"\0" * 5000, "NUL bytes in place of text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git lfs pull"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    for name in ("a.txt", "a.jsonl"):
        with pytest.raises(DataError, match=f"{name}: .*{said}"):
            read(tmp_path, name, data)


def test_a_file_of_gzip_with_several_members(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one\n\n")
    (tmp_path / "two").write_bytes(b"two\n")
    made = subprocess.run(["gzip", "-c", "one", "two"], cwd=tmp_path, capture_output=True)
    assert read(tmp_path, "a.txt.gz", made.stdout + b"\0" * 512) == ["one", "two"]


@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".json", ".csv", ".tsv"])
def test_an_empty_file_has_no_documents(tmp_path: Path, kind: str) -> None:
    assert read(tmp_path, f"a{kind}", b"") == []


def test_csv_of_python_on_windows(tmp_path: Path) -> None:
    """Opened without newline="", which doubles carriage returns."""
    file = io.StringIO()
    csv.writer(file).writerows([["text"], ["one"], ["a\nb"]])
    data = file.getvalue().replace("\n", "\r\n").encode()
    assert read(tmp_path, "a.csv", data) == ["one", "a\nb"]
