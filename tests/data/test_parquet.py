"""Parquet files as pyarrow and pandas write them."""

import tracemalloc
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zsl.data.parquet import parquet_records
from zsl.errors import DataError

COLUMNS = {
    "string": pa.array(["a", None, "c"]),
    "large": pa.array(["a", None, "c"], pa.large_string()),
    "view": pa.array(["a", None, "c"], pa.string_view()),
    "categories": pa.array(["a", None, "c"]).dictionary_encode(),
    "lists": pa.array([["a", "b"], None, []]),
    "records": pa.array([{"say": "a", "n": 1}, None, {"say": "c", "n": 2}]),
    "turns": pa.array([[{"say": "a"}], [], None]),
    "dotted.name": pa.array(["a", None, "c"]),
    "nothing": pa.nulls(3),
}


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip", "brotli", "lz4"])
@pytest.mark.parametrize("group", [1, 2, 3])
def test_columns_of_every_kind(tmp_path: Path, compression: str, group: int) -> None:
    table = pa.table(COLUMNS)
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, compression=compression, row_group_size=group)
    found = [*parquet_records(path, "a", [*COLUMNS, "absent"])]
    assert found == [*enumerate(table.to_pylist(), 1)]


def test_missing_text_of_pandas(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["x", None], "n": [1.0, None]}).to_parquet(tmp_path / "a.parquet")
    found = [record["text"] for _, record in parquet_records(tmp_path / "a.parquet", "a", ["text"])]
    assert found == ["x", None]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pa.table({"text": pa.array([b"x"])}), "column 'text' holds binary"),
        (pa.table({"text": pa.nulls(3)}), "column 'text' holds nothing but nulls"),
        (pa.table({"text": pa.array([1], pa.timestamp("s"))}), "column 'text' holds timestamp"),
        (pa.table({"id": [1], "body": ["x"]}), "none of the fields is a column; it has id, body"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, table: pa.Table, said: str) -> None:
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=said):
        next(parquet_records(tmp_path / "a.parquet", "a", ["text"]))


def test_damage_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x" * 100] * 100}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for data in (b"", b"PAR1", whole[:-20], whole[20:], b"text"):
        (tmp_path / "a.parquet").write_bytes(data)
        with pytest.raises(DataError, match="not a whole Parquet file"):
            [*parquet_records(tmp_path / "a.parquet", "a", ["text"])]


def test_a_text_that_each_row_repeats_is_not_held_many_times(tmp_path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 300, pa.int32()), ["x" * (4 << 20)])
    pq.write_table(pa.table({"text": texts.cast(pa.string())}), tmp_path / "a.parquet")
    del texts
    before, most, count = pa.total_allocated_bytes(), 0, 0
    for _ in parquet_records(tmp_path / "a.parquet", "a", ["text"]):
        most, count = max(most, pa.total_allocated_bytes() - before), count + 1
    assert count == 300 and most < 100 << 20


def test_a_large_file_is_read_a_few_rows_at_a_time(tmp_path: Path) -> None:
    """One row group of 75 MB is held in no more than a few rows."""
    texts = [f"{n} " + "word " * 600 for n in range(25_000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", use_dictionary=False)
    del texts
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    most = count = 0
    for _ in parquet_records(tmp_path / "a.parquet", "a", ["text"]):
        most, count = max(most, pa.total_allocated_bytes() - before), count + 1
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 25_000 and most < 16 << 20 and held < 16 << 20
