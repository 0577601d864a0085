"""Any bytes are documents or a DataError, and what is written is read."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from zsl.config.sources import FileSource
from zsl.data.sources import Place, Reading, documents
from zsl.data.text_files import normal
from zsl.errors import DataError

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TABLES = ["array", "columns", "csv", "pq", "arrow"]
PACKED = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def read(
    folder, name: str, data: bytes, broken: str = "stop", **settings
) -> tuple[list[str], Reading]:
    """Documents of a file of these bytes."""
    (folder / name).write_bytes(data)
    source = FileSource.model_validate({"kind": "files", "paths": [name], **settings})
    reading = Reading(name, stop_at_broken=broken == "stop")
    place = Place(folder, folder / "downloads", folder / "scratch")
    return list(documents(source, place, reading)), reading


@given(
    st.binary(max_size=300),
    st.sampled_from(
        [kind + suffix for kind in (".txt", ".jsonl", ".json", ".csv", ".tsv") for suffix in PACKED]
        + [".arrow", ".parquet"]
    ),
    st.sampled_from(["file", "paragraph", "line"]),
    st.sampled_from(["stop", "skip"]),
)
@settings(max_examples=300)
def test_any_bytes_are_documents_or_a_data_error(folder, data, suffix, unit, broken):
    try:
        found, _ = read(folder, f"a{suffix}", data, broken, fields=["text"], documents=unit)
    except DataError as error:
        assert f"a{suffix}" in str(error) and len(str(error)) < 1000
    else:
        assert all(text == text.strip() and text.encode() for text in found)


@given(st.lists(st.fixed_dictionaries({"text": JSON}) | JSON, max_size=5), st.booleans())
@settings(max_examples=150)
def test_any_records_are_documents_or_counted_as_broken(folder, records, grouped):
    data = "\n".join(json.dumps(record) for record in records).encode()
    more = {"group_by": "text"} if grouped else {}
    found, reading = read(folder, "a.jsonl", data, "skip", fields=["text"], **more)
    assert len(found) + reading.broken + reading.empty <= len(records) + len(found) * grouped


@given(st.lists(TEXT.filter(lambda text: text.strip()), max_size=8), st.sampled_from([*PACKED]))
@settings(max_examples=100)
def test_json_lines_give_the_texts_that_were_written(folder, texts, suffix):
    data = "\n".join(json.dumps({"a": {"b": text}}) for text in texts).encode()
    found, reading = read(folder, f"b.jsonl{suffix}", PACKED[suffix](data), fields=["a.b"])
    assert found == [made for text in texts if (made := normal(text).strip())]
    assert reading.broken == 0 and reading.empty == len(texts) - len(found)


@given(
    st.lists(TEXT, min_size=1, max_size=8),
    st.sampled_from(["array", "columns", "csv", "pq", "arrow"]),
)
@settings(max_examples=150)
def test_tables_give_the_texts_that_were_written(folder, texts, kind):
    made_of, table = io.BytesIO(), pa.table({"text": pa.array(texts, pa.string())})
    name = {"csv": "d.csv", "pq": "d.parquet", "arrow": "d.arrow"}.get(kind, "d.json")
    if kind == "csv":
        text = io.TextIOWrapper(made_of, "utf-8", newline="", write_through=True)
        rows = csv.writer(text, quoting=csv.QUOTE_ALL)
        rows.writerows([["n", "text"], *enumerate(texts)])
    elif kind == "pq":
        pq.write_table(table, made_of)
    elif kind == "arrow":
        with pa.ipc.new_file(made_of, table.schema) as writer:
            writer.write_table(table)
    else:
        rows = [{"text": text} for text in texts] if kind == "array" else {"text": texts}
        made_of.write(json.dumps(rows, indent=1).encode())
    found, reading = read(folder, name, made_of.getvalue(), fields=["text"])
    assert found == [made for text in texts if (made := normal(text).strip())]
    assert reading.broken == 0 and reading.empty == len(texts) - len(found)


@given(st.data())
@settings(max_examples=150)
def test_arrow_with_any_byte_changed_is_documents_or_a_data_error(folder, data):
    """Damage is never read out of bounds: the process would die of it."""
    table = pa.table({"text": pa.array(["some", None, "text", "é"] * 4, pa.string())})
    made_of = io.BytesIO()
    with pa.ipc.new_stream(made_of, table.schema) as writer:
        writer.write_table(table)
    changed = bytearray(made_of.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(changed) - 1), min_size=1, max_size=4)):
        changed[place] = data.draw(st.integers(0, 255))
    try:
        read(folder, "c.arrow", bytes(changed), "skip", fields=["text"])
    except DataError as error:
        assert "c.arrow" in str(error)
