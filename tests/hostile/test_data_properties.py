"""Any bytes are documents or a DataError; what is written is read; tokens are packed unchanged."""

from __future__ import annotations

import csv
import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from attacks.tokenizers_files import made
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from zsl.config.sources import FileSource
from zsl.data.packing import pack, pack_until, packed_batches
from zsl.data.passages import PassageWriter
from zsl.data.sources import Place, Reading, documents
from zsl.data.text_files import normal
from zsl.data.tokenizer import load_tokenizer
from zsl.data.tokens import TokenFiles
from zsl.data.windows import OverlapFilter, window_hashes
from zsl.errors import DataError

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
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


@given(st.lists(TEXT, min_size=1, max_size=8), st.sampled_from(["array", "columns", "csv", "pq"]))
@settings(max_examples=150)
def test_tables_give_the_texts_that_were_written(folder, texts, kind):
    made_of = io.BytesIO()
    name = {"csv": "d.csv", "pq": "d.parquet"}.get(kind, "d.json")
    if kind == "csv":
        text = io.TextIOWrapper(made_of, "utf-8", newline="", write_through=True)
        rows = csv.writer(text, quoting=csv.QUOTE_ALL)
        rows.writerows([["n", "text"], *enumerate(texts)])
    elif kind == "pq":
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), made_of)
    else:
        rows = [{"text": text} for text in texts] if kind == "array" else {"text": texts}
        made_of.write(json.dumps(rows, indent=1).encode())
    found, reading = read(folder, name, made_of.getvalue(), fields=["text"])
    assert found == [made for text in texts if (made := normal(text).strip())]
    assert reading.broken == 0 and reading.empty == len(texts) - len(found)


@given(st.lists(TEXT, max_size=8), st.booleans())
@settings(max_examples=60)
def test_arrow_gives_the_texts_that_were_written(folder, texts, stream):
    table = pa.table({"text": pa.array(texts, pa.string())})
    made_of = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(made_of, table.schema) as writer:
        writer.write_table(table)
    found, _ = read(folder, "b.arrow", made_of.getvalue(), fields=["text"])
    assert found == [made for text in texts if (made := normal(text).strip())]


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


@given(st.lists(TEXT, max_size=12), st.integers(-5, 5))
@settings(max_examples=80)
def test_passages_are_kept_as_they_are_and_told_apart(folder, texts, seed):
    with PassageWriter(folder / "passages.bin", seed) as writer:
        for text in texts:
            writer.add(text)
        passages = writer.passages()
    assert list(passages.texts(np.arange(len(texts)))) == texts
    assert len(passages.by_digest(distinct=True)) == len(set(texts))
    assert passages.characters.tolist() == [*map(len, texts)]


@pytest.fixture(scope="module")
def letters(folder) -> Tokenizer:
    """A tokenizer of single letters, and one token for all others."""
    vocabulary = {"<|endoftext|>": 0, "[UNK]": 1, "a": 2, "b": 3, "c": 4}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    split = {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": False}
    path = folder / "letters.json"
    path.write_text(json.dumps(made(model=model, pre_tokenizer=split)))
    return load_tokenizer(path)


ABC = st.lists(st.text("abc", min_size=1, max_size=12), max_size=10)


@given(ABC, st.integers(1, 30))
@settings(max_examples=80)
def test_packing_preserves_tokens(letters, texts, size):
    ids = [[*("<[abc".index(letter) for letter in text), 0] for text in texts]
    packed = pack(texts, letters, 0)
    assert packed.tokens.tolist() == [token for document in ids for token in document]
    assert packed.lengths.tolist() == [*map(len, ids)]
    batches = [texts[low : low + 3] for low in range(0, len(texts), 3)]
    parts = [part.tokens.tolist() for part in packed_batches(batches, letters, 0)]
    assert [token for part in parts for token in part] == packed.tokens.tolist()
    first, used = pack_until(size, batches, letters, 0)
    assert first.tolist() == packed.tokens.tolist()[:size]
    assert sum(packed.lengths[:used]) >= len(first) and used <= len(texts)


@given(
    st.lists(st.lists(st.integers(0, 2**16 - 1), max_size=40), min_size=1, max_size=4),
    st.integers(1, 12),
    st.booleans(),
    st.sampled_from(["uint16", "uint32"]),
)
@settings(max_examples=80)
def test_windows_of_memmaps_are_the_tokens_of_their_files(
    folder, files, length, overlapping, dtype
):
    paths = []
    for number, tokens in enumerate(files):
        paths.append(folder / f"{number}.bin")
        np.array(tokens, np.dtype(dtype).newbyteorder("<")).tofile(paths[-1])
    stride = 1 if overlapping else length
    expected = [
        tokens[start : start + length]
        for tokens in files
        for start in range(0, len(tokens) - length + 1, stride)
    ]
    found = TokenFiles(paths, dtype, length, overlapping=overlapping)
    assert len(found) == len(expected)
    assert found.batch(range(len(found))).tolist() == expected
    for wrong in (-1, len(found)):
        with pytest.raises(IndexError):
            found.batch([wrong])


@given(
    st.lists(st.integers(0, 3), max_size=20),
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=12),
    st.integers(1, 4),
)
@settings(max_examples=120)
def test_no_window_of_the_evaluation_tokens_is_admitted(evaluation, texts, window):
    texts = [np.array(text, np.uint32) for text in texts]
    lengths = np.array([*map(len, texts)])
    admitted = OverlapFilter(np.array(evaluation, np.uint32), window).admit(
        np.concatenate(texts), lengths
    )
    kept = [text for text, good in zip(texts, admitted, strict=True) if good]
    stream = np.concatenate([*kept, np.zeros(0, np.uint32)])
    shared = np.intersect1d(
        window_hashes(stream, window), window_hashes(np.array(evaluation, np.uint32), window)
    )
    assert len(shared) == 0
