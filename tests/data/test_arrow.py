"""Tables as pyarrow, pandas and Hugging Face's datasets write them."""

import tracemalloc
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from zsl.data.arrow import arrow_records, parquet_records
from zsl.errors import DataError

TEXTS = [str(n) for n in range(3000)]
COLUMNS = {
    "string": pa.array(["a", None, "c"]),
    "large": pa.array(["a", None, "c"], pa.large_string()),
    "lists": pa.array([["a", "b"], None, []]),
    "records": pa.array([{"say": "a", "n": 1}, None, {"say": "c", "n": 2}]),
    "turns": pa.array([[{"say": "a"}], [], None]),
    "dotted.name": pa.array(["a", None, "c"]),
    "nothing": pa.nulls(3),
}
PARQUET_ONLY = {
    "view": pa.array(["a", None, "c"], pa.string_view()),
    "categories": pa.array(["a", None, "c"]).dictionary_encode(),
}


def ipc(table: pa.Table, path: Path, new=pa.ipc.new_stream, compression=None) -> None:
    with new(str(path), table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as w:
        w.write_table(table, max_chunksize=1000)


WRITERS = {
    "stream": (ipc, arrow_records),
    "file": (lambda table, path: ipc(table, path, pa.ipc.new_file), arrow_records),
    "zstd": (lambda table, path: ipc(table, path, compression="zstd"), arrow_records),
    "feather": (lambda table, path: pyarrow.feather.write_feather(table, path), arrow_records),
    "parquet": (pq.write_table, parquet_records),
    "groups": (lambda table, path: pq.write_table(table, path, row_group_size=2), parquet_records),
    "gzip": (lambda table, path: pq.write_table(table, path, compression="gzip"), parquet_records),
    "brotli": (lambda t, path: pq.write_table(t, path, compression="brotli"), parquet_records),
}
each_kind = pytest.mark.parametrize(("write", "read"), WRITERS.values(), ids=WRITERS)


@each_kind
def test_columns_of_every_kind(tmp_path: Path, write, read) -> None:
    table = pa.table(COLUMNS | (PARQUET_ONLY if read is parquet_records else {}))
    write(table, tmp_path / "a")
    found = [*read(tmp_path / "a", "a", [*table.column_names, "absent"])]
    assert found == [*enumerate(table.to_pylist(), 1)]


@each_kind
def test_rows_of_the_wanted_column(tmp_path: Path, write, read) -> None:
    write(pa.table({"text": TEXTS, "other": range(3000)}), tmp_path / "a")
    assert [*read(tmp_path / "a", "a", ["text"])] == [
        (n + 1, {"text": str(n)}) for n in range(3000)
    ]


@each_kind
def test_damage_is_named(tmp_path: Path, write, read) -> None:
    write(pa.table({"text": ["x" * 100] * 100}), tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    kind = "Parquet" if read is parquet_records else "Arrow"
    cut = len(whole) // 2
    for data in (b"", b"PAR1", b"ARROW1\0\0", whole[:cut], whole[20:], b"text"):
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(DataError, match=f"not a whole {kind} file"):
            [*read(tmp_path / "a", "a", ["text"])]


@each_kind
@pytest.mark.parametrize(
    ("column", "said"),
    [
        ({"text": pa.array([b"x"])}, "column 'text' holds binary"),
        ({"text": pa.nulls(3)}, "column 'text' holds nothing but nulls"),
        ({"text": pa.array([1], pa.timestamp("s"))}, "column 'text' holds timestamp"),
        ({"id": [1], "body": ["x"]}, "none of the fields is a column; it has id, body"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, write, read, column, said: str) -> None:
    write(pa.table(column), tmp_path / "a")
    with pytest.raises(DataError, match=said):
        next(read(tmp_path / "a", "a", ["text"]))


def test_missing_text_of_pandas(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["x", None], "n": [1.0, None]}).to_parquet(tmp_path / "a.parquet")
    found = [record["text"] for _, record in parquet_records(tmp_path / "a.parquet", "a", ["text"])]
    assert found == ["x", None]


def test_a_large_file_is_read_a_few_rows_at_a_time(tmp_path: Path) -> None:
    """One row group of 15 MB is held in no more than a few rows."""
    texts = [f"{n} " + "word " * 600 for n in range(5_000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", use_dictionary=False)
    del texts
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    most = count = 0
    for _ in parquet_records(tmp_path / "a.parquet", "a", ["text"]):
        most, count = max(most, pa.total_allocated_bytes() - before), count + 1
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5_000 and most < 4 << 20 and held < 4 << 20
