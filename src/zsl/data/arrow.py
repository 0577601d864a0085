"""Records of Arrow and Parquet files, a few rows at a time, checked by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zsl.data.fields import named
from zsl.data.text_files import LONGEST, too_long
from zsl.errors import DataError

ARROW_ROWS = 1024
"""Rows of an Arrow file that are made Python values at a time."""
PARQUET_ROWS = 4
"""Rows of a Parquet file that are read at a time: a page may name one long text in each row."""
_MAGIC = b"ARROW1"
_STREAM = 8
"""Where the stream begins in a file that has the magic."""


def arrow_records(path: Path, name: str, columns: list[str]) -> Iterator[tuple[int, Any]]:
    """Records of an Arrow file or stream with their row numbers, reading only ``columns``.

    A column the file does not have is left out of its records. Raises DataError for a file that
    is not Arrow, is cut off, contradicts itself, or holds in ``columns`` what is no text, number,
    list or record of them.
    """
    with _whole(name, "Arrow"), pa.memory_map(str(path)) as source:
        source.seek(_STREAM if source.read(len(_MAGIC)) == _MAGIC else 0)
        reader = pa.ipc.open_stream(source)
        present = _present(reader.schema, columns, name, dictionaries=False)
        number = 0
        for batch in reader:
            wanted = batch.select(present)
            wanted.validate(full=True)
            for row in range(0, wanted.num_rows, ARROW_ROWS):
                for record in wanted.slice(row, ARROW_ROWS).to_pylist():
                    number += 1
                    yield number, record


def parquet_records(path: Path, name: str, columns: list[str]) -> Iterator[tuple[int, Any]]:
    """Records of a Parquet file with their row numbers, reading only ``columns``; errors as for
    :func:`arrow_records`, and for a text longer than a document may be."""
    with (
        _whole(name, "Parquet"),
        pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file,
    ):
        present = _present(file.schema_arrow, columns, name, dictionaries=True)
        number = 0
        for batch in file.iter_batches(PARQUET_ROWS, columns=present, use_threads=False):
            if batch.nbytes > LONGEST:
                for row in range(batch.num_rows):
                    if batch.slice(row, 1).nbytes > LONGEST:
                        raise too_long(f"{name}, row {number + row + 1}")
            for record in batch.to_pylist():
                number += 1
                yield number, record


@contextmanager
def _whole(name: str, kind: str) -> Iterator[None]:
    """What pyarrow raises for a file that is none, is cut off or contradicts itself, in words."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise DataError(f"{name}: not a whole {kind} file ({error}); get the file again") from error


def _present(schema: pa.Schema, columns: list[str], name: str, *, dictionaries: bool) -> list[str]:
    """Those of the ``columns`` that are there.

    Raises DataError where none is, or where they hold what is no text, number, list or record of
    them, or nothing but nulls. ``dictionaries`` of text are text.
    """
    present = [column for column in columns if column in schema.names]
    if not present:
        raise DataError(f"{name}: none of the fields is a column; it has {named(schema.names)}")
    types = [schema.field(column).type for column in present]
    if all(map(pa.types.is_null, types)):
        raise DataError(f"{name}: column {present[0]!r} holds nothing but nulls; correct fields")
    for column, type in zip(present, types, strict=True):
        if not (_takes_bytes(type, dictionaries) or pa.types.is_null(type)):
            raise DataError(
                f"{name}: column {column!r} holds {str(type)[:80]}; expected text, "
                "numbers, or lists or records of them: convert the file"
            )
    return present


def _takes_bytes(type: pa.DataType, dictionaries: bool) -> bool:
    """Whether every value of a type takes bytes of its own, so that a small file is a small one.

    Dictionaries, runs and views may name one text any number of times, and nulls take nothing.
    """
    kinds = pa.types
    if kinds.is_list(type) or kinds.is_large_list(type):
        return _takes_bytes(type.value_type, dictionaries)
    if kinds.is_struct(type):
        fields = [field.type for field in type if not kinds.is_null(field.type)]
        return bool(fields) and all(_takes_bytes(field, dictionaries) for field in fields)
    if kinds.is_dictionary(type) or kinds.is_string_view(type):
        return dictionaries
    text = kinds.is_string(type) or kinds.is_large_string(type)
    return text or kinds.is_integer(type) or kinds.is_floating(type) or kinds.is_boolean(type)
