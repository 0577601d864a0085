"""Records of Parquet files, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zsl.data.arrow import refuse_types
from zsl.data.text_files import LONGEST, too_long
from zsl.errors import DataError
from zsl.files import SMALL, is_bomb

ROWS = 1024
"""Most rows that are read at a time."""
VALUE = 8
"""Bytes that a value takes at least while it is read."""


def parquet_records(path: Path, name: str, columns: list[str]) -> Iterator[tuple[int, Any]]:
    """Records of a Parquet file with their row numbers, reading only ``columns``.

    A column the file does not have is left out of its records. Raises DataError for a file that
    is not Parquet, is cut off, or holds far more than it has bytes for or, in ``columns``, what is
    no text, number, list or record of them.
    """
    number = 0
    try:
        with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
            present = [column for column in columns if column in file.schema_arrow.names]
            refuse_types(file.schema_arrow, present, name, dictionaries=True)
            groups = map(file.metadata.row_group, range(file.num_row_groups))
            sizes = [_largest_column(group, present) for group in groups]
            if is_bomb(sum(sizes), path.stat().st_size):
                raise DataError(
                    f"{name}: says of {sum(sizes):,} bytes that they are in so few (a "
                    "decompression bomb?); give another file"
                )
            for group, size in enumerate(sizes):
                # A page may name one text for each of its rows, which are then all that long.
                rows = max(1, min(ROWS, SMALL // max(size, 1)))
                for batch in file.iter_batches(rows, [group], present, use_threads=False):
                    if batch.nbytes > LONGEST:
                        _refuse_long_rows(batch, name, number)
                    for record in batch.to_pylist():
                        number += 1
                        yield number, record
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise DataError(
            f"{name}: not a whole Parquet file (after row {number}: {error}); get the file again"
        ) from error


def _largest_column(about: pq.RowGroupMetaData, columns: list[str]) -> int:
    """Bytes of the largest of these columns of a row group, decompressed."""
    chunks = map(about.column, range(about.num_columns))
    return max(
        (
            max(chunk.total_uncompressed_size, VALUE * chunk.num_values)
            for chunk in chunks
            if chunk.path_in_schema.split(".")[0] in columns
        ),
        default=0,
    )


def _refuse_long_rows(batch: pa.RecordBatch, name: str, before: int) -> None:
    for row in range(batch.num_rows):
        if batch.slice(row, 1).nbytes > LONGEST:
            raise too_long(f"{name}, row {before + row + 1}")
