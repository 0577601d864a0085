"""Records of Arrow files: validated before they are read, and only where bytes stand for them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from zsl.data.fields import named
from zsl.errors import DataError

ROWS = 1024
"""Rows that are made Python values at a time."""
_MAGIC = b"ARROW1"
_STREAM = 8
"""Where the stream begins in a file that has the magic."""


def arrow_records(path: Path, name: str, columns: list[str]) -> Iterator[tuple[int, Any]]:
    """Records of an Arrow file or stream with their row numbers, reading only ``columns``.

    A column the file does not have is left out of its records. Raises DataError for a file that
    is not Arrow, is cut off or compressed, contradicts itself, or holds in ``columns`` what is
    no text, number, list or record of them.
    """
    number = 0
    try:
        with pa.memory_map(str(path)) as source:
            start = _STREAM if source.read(len(_MAGIC)) == _MAGIC else 0
            _refuse_compressed(source, start, name)
            source.seek(start)
            for batch in pa.ipc.open_stream(source):
                present = [column for column in columns if column in batch.schema.names]
                refuse_types(batch.schema, present, name)
                wanted = batch.select(present)
                wanted.validate(full=True)
                for row in range(0, wanted.num_rows, ROWS):
                    for record in wanted.slice(row, ROWS).to_pylist():
                        number += 1
                        yield number, record
    except (pa.ArrowException, OSError, ValueError, IndexError, struct.error) as error:
        raise DataError(
            f"{name}: not a whole Arrow file (after row {number}: {error}); get the file again"
        ) from error


def refuse_types(
    schema: pa.Schema, columns: list[str], name: str, *, dictionaries: bool = False
) -> None:
    """Raise DataError where there are no ``columns``, or they hold what is no text, number, list or
    record of them, or nothing but nulls, which take no bytes. ``dictionaries`` of text are text,
    where the reader takes care of them."""
    if not columns:
        raise DataError(f"{name}: none of the fields is a column; it has {named(schema.names)}")
    types = [schema.field(column).type for column in columns]
    for column, type in zip(columns, types, strict=True):
        if pa.types.is_null(type) and all(map(pa.types.is_null, types)):
            raise DataError(f"{name}: column {column!r} holds nothing but nulls; correct fields")
        if not (_takes_bytes(type, dictionaries) or pa.types.is_null(type)):
            raise DataError(
                f"{name}: column {column!r} holds {str(type)[:80]}; expected text, "
                "numbers, or lists or records of them: convert the file"
            )


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


def _refuse_compressed(source: Any, start: int, name: str) -> None:
    """Raise DataError for compressed batches, of which no size is known before they are read."""
    source.seek(start)
    reader = pa.ipc.MessageReader.open_stream(source)
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        if _is_compressed(message.metadata.to_pybytes()):
            raise DataError(f"{name}: a compressed Arrow file; write it without compression")


def _is_compressed(metadata: bytes) -> bool:
    """Whether a message (a flatbuffer, see Arrow's Message.fbs) is a batch with a codec."""
    message = struct.unpack_from("<I", metadata)[0]
    kind = _field(metadata, message, 1)
    header = _field(metadata, message, 2)
    if kind is None or header is None or metadata[kind] not in (2, 3):
        return False
    table = header + struct.unpack_from("<I", metadata, header)[0]
    if metadata[kind] == 2:  # a dictionary, which has the batch as its field 1
        data = _field(metadata, table, 1)
        if data is None:
            return False
        table = data + struct.unpack_from("<I", metadata, data)[0]
    return _field(metadata, table, 3) is not None


def _field(data: bytes, table: int, index: int) -> int | None:
    """Where a field of a flatbuffer's table lies; None where the table has it not."""
    names = table - struct.unpack_from("<i", data, table)[0]
    entry = 4 + 2 * index
    if entry + 2 > struct.unpack_from("<H", data, names)[0]:
        return None
    offset = struct.unpack_from("<H", data, names + entry)[0]
    return table + offset if offset else None
