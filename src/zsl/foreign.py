"""Files of other programs, told by how they begin.

People name the file beside the one that is meant, or one that was not fetched: what is there then
is said, and what to do, where a reader would only say that it cannot be read.
"""

from __future__ import annotations

from pathlib import Path

HEAD = 512
"""Bytes that are looked at."""
_PICKLE = "a pickle, which could execute anything and is not read"
_COMPRESSED = "a compressed file: decompress it (text may be .gz or .zst, and is called so)"
_PAGE = "a web page, such as servers send in place of a file: fetch the file itself"
SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs.github.com",
        "a pointer of Git LFS and not the file itself: run git lfs install and git lfs pull where "
        "it was cloned",
    ),
    (b"\x93NUMPY", "a NumPy file with a header"),
    (b"PK\x03\x04", "a zip, such as torch.save, numpy.savez and office programs write"),
    *((b"\x80" + bytes([version]), _PICKLE) for version in range(2, 6)),
    (b"\x1f\x8b", _COMPRESSED),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED),
    (b"BZh", _COMPRESSED),
    (b"\xfd7zXZ\0", _COMPRESSED),
    (b"PAR1", "a Parquet file: end its name in .parquet"),
    (b"ARROW1", "an Arrow file: end its name in .arrow"),
    (b"%PDF-", "a PDF"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"GGUF", "a GGUF file of llama.cpp"),
    (b"MMIDIDX\0\0", "the index of a Megatron data set: the tokens are in the .bin beside it"),
    (b"TNTIDX\0\0", "the index of a fairseq data set: the tokens are in the .bin beside it"),
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
)


def what_it_is(path: Path) -> str | None:
    """What a plain file is, and what to do, if it begins as files of a known kind do; else None.

    Raises OSError where it cannot be read.
    """
    with path.open("rb") as file:
        return what_begins(file.read(HEAD))


def what_begins(head: bytes) -> str | None:
    """As :func:`what_it_is`, of the first bytes of a file."""
    for begin, what in SIGNATURES:
        text = head.lstrip().lower() if begin.startswith(b"<") else head
        if text.startswith(begin):
            return what
    return None
