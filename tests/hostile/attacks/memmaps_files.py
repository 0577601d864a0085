"""Token files and their manifests, and the NumPy files of ``zsl measure``."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attacks import add, row
from attacks.texts import build

KIND = "token files"
TOKENIZER = {"kind": "olmo", "name": "allenai_dolma2", "vocab_size": 100278, "eos_token_id": 100257}
SMALL = {"kind": "olmo", "name": "allenai_gpt-neox-olmo-dolma-v1_5", "vocab_size": 50280}


def saved(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array, allow_pickle=True)
    return made.getvalue()


def even(data: bytes) -> bytes:
    """An even number of bytes."""
    return data + b" " * (len(data) % 2)


def of_file(data: bytes, project: Path) -> Iterator[None]:
    """A corpus of this file of tokens."""
    (project / "a.npy").write_bytes(data)
    good = np.arange(400, dtype="<u2") % 50
    good[::20] = 50279
    good.tofile(project / "eval.npy")
    declared = {
        "tokenizer": {**SMALL, "eos_token_id": 50279},
        "eval_sources": [{"kind": "memmap", "paths": ["eval.npy"]}],
    }
    yield
    build(project, [{"kind": "memmap", "paths": ["a.npy"]}], **declared)


TOKENS = np.array([1, 2, 50279] * 100, "<u2")
FILES: dict[str, tuple[bytes, str]] = {
    "an odd number of bytes": (TOKENS.tobytes()[:-1], "a.npy: 599 bytes are not a whole number"),
    "nothing": (b"", "a.npy: 0 bytes are not a whole number"),
    "an id beyond the vocabulary": (
        np.append(TOKENS, np.uint16(60000)).tobytes(),
        "a.npy: token 300 has an id (60000)",
    ),
    "other numbers than declared": (
        TOKENS.astype("<u4").tobytes() + b"\xff\xff\xff\xff",
        "a.npy: token 600 has an id (65535)",
    ),
    "no end of a document": (np.ones(300, "<u2").tobytes(), "no token 50279 (EOS)"),
    "an array saved with its header": (saved(TOKENS), "a.npy: a NumPy file with a header"),
    "an array of Python objects": (
        even(saved(np.array([{}]))),
        "a.npy: a NumPy file with a header",
    ),
    "a pickle": (even(pickle.dumps(list(range(100)))), "a.npy: a pickle"),
    "wider numbers than declared": (
        TOKENS.astype("<i8").tobytes(),
        "a.npy: declared as uint16, but its numbers look like int64",
    ),
    "zeros": (bytes(600), "no token 50279 (EOS)"),
    "nothing but the end of a document": (
        np.full(300, 50279, "<u2").tobytes(),
        "100.0% of the training tokens are EOS",
    ),
    "offsets beyond the end of the file": (
        np.array([2**32 - 1, 2**32 - 1] * 50, "<u4").tobytes(),
        "a.npy: token 0 has an id (65535)",
    ),
}
for name, (data, says) in FILES.items():
    add(KIND, name, partial(of_file, data), says)


def of_odd(make: Callable[[Path], object], project: Path) -> Iterator[None]:
    """A path of tokens that is something else."""
    make(project / "a.npy")
    yield
    build(project, [{"kind": "memmap", "paths": ["a.npy"]}], tokenizer=TOKENIZER)


for name, maker in {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
}.items():
    add(KIND, name, partial(of_odd, maker), "memmap 'a.npy' matches no file")

FILE = {"name": "train-00000.bin", "tokens": 32, "sha256": "0" * 64, "origin": "text"}
MANIFEST: dict[str, Any] = {
    "format": 1,
    "dtype": "uint16",
    "vocab_size": 300,
    "eos_token_id": 0,
    "sequences": 2,
    "sequence_length": 16,
    "train": [FILE],
    "eval": [{**FILE, "name": "eval-00000.bin"}],
    "documents": 1,
    "sources": [],
    "tokenizer_sha256": "0" * 64,
    "declaration": "0" * 64,
    "train_tokens": 32,
    "eval_tokens": 32,
}


def of_manifest(data: bytes, project: Path) -> Iterator[None]:
    """A manifest as training and measurements read it, with the files that it should name."""
    from zsl.data.manifest import read_manifest
    from zsl.data.tokens import open_split

    tokens = project / "results" / "small" / "data" / "text" / "tokens"
    tokens.mkdir(parents=True)
    for name in ("train-00000.bin", "eval-00000.bin"):
        np.zeros(32, "<u2").tofile(tokens / name)
    (tokens.parent / "manifest.json").write_bytes(data)
    yield
    for split in ("train", "eval"):
        open_split(tokens, read_manifest(tokens.parent / "manifest.json"), split).batch([0])


NONE = "manifest.json: not a corpus manifest"
MANIFESTS: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "that leads out of its folder": ({"train": [{**FILE, "name": "../../../../outside"}]}, NONE),
    "that names an absolute path": ({"train": [{**FILE, "name": "/etc/passwd"}]}, NONE),
    "of Python objects": ({"dtype": "object"}, NONE),
    "of numbers without a width": ({"dtype": "f"}, NONE),
    "with fewer than no tokens": ({"train": [{**FILE, "tokens": -1}], "train_tokens": -1}, NONE),
    "with text for a number": ({"train": [{**FILE, "tokens": "32"}]}, NONE),
    "with more tokens than the file has": (
        {"train": [{**FILE, "tokens": 10**15}], "train_tokens": 10**15},
        "train-00000.bin has 64 bytes, its manifest says",
    ),
    "whose totals are others": ({"train_tokens": 33}, "totals disagree"),
    "with a key that is none": ({"evil": 1}, NONE),
    "with facts that are none": ({"facts": {"train": [1], "evil": 1}}, NONE),
    "without its files": ({"train": None}, NONE),
    "of sequences of a trillion tokens": ({"sequence_length": "many"}, NONE),
    "nested 100,000 deep": (b"[" * 100_000, NONE),
    "that is a list": (b"[]", NONE),
    "that is cut off": (json.dumps(MANIFEST).encode()[:-20], NONE),
}
for name, (content, says) in MANIFESTS.items():
    data = content if isinstance(content, bytes) else json.dumps({**MANIFEST, **content}).encode()
    add(KIND, f"a manifest {name}", partial(of_manifest, data), says)


def header(shape: tuple[int, ...], kind: str = "<i8", data: bytes = b"") -> bytes:
    """A NumPy file that declares this shape."""
    made = io.BytesIO()
    values = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(made, values)
    return made.getvalue() + data


def expression(text: str) -> bytes:
    """A NumPy file with this for its header."""
    size = len(text) + 1
    return b"\x93NUMPY\x02\x00" + size.to_bytes(4, "little") + text.encode() + b"\n"


def of_tokens(data: bytes, project: Path) -> Iterator[None]:
    """The file that ``zsl measure --tokens`` names."""
    from zsl.measure.ids import _read

    (project / "a.npy").write_bytes(data)
    yield
    _read(project / "a.npy")


NOT_IDS = "a.npy: not a NumPy file of token ids"
NUMPY: dict[str, tuple[bytes, str]] = {
    "an array of a trillion numbers in a few bytes": (header((10**12,)), NOT_IDS),
    "an array of more numbers than there are addresses": (header((10**30,)), NOT_IDS),
    "an array of fewer than no numbers": (header((-1, -4), data=b"\0" * 32), NOT_IDS),
    "an array of 100 axes": (header((1,) * 100, data=b"\0" * 8), NOT_IDS),
    "a saved array of Python objects": (saved(np.array([{}])), NOT_IDS),
    "a pickle for an array": (pickle.dumps([1, 2]), NOT_IDS),
    "Python for a header": (expression("__import__('os').system('touch ../x')"), NOT_IDS),
    "a header nested too deeply": (expression("(" * 5000), NOT_IDS),
    "a header of many signs": (expression("-" * 9000 + "1"), NOT_IDS),
    "a header of 2 GiB": (b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little"), NOT_IDS),
    "a saved array of text": (saved(np.array(["a"])), "holds no array of integers"),
    "a saved array of records": (saved(np.zeros(1, "i8,f8")), "holds no array of integers"),
}
for name, (data, says) in NUMPY.items():
    add(KIND, name, partial(of_tokens, data), says)


@row(KIND, "an archive of arrays", "holds no array of integers")
def archive(project: Path) -> Iterator[None]:
    made = io.BytesIO()
    np.savez_compressed(made, a=np.zeros(1 << 22, np.int64))
    yield from of_tokens(made.getvalue(), project)
