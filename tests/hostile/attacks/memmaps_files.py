"""Token files and their manifests, and the NumPy files of ``zsl measure``."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from attacks import rows
from attacks.texts import build

KIND = "token files"
SMALL = {"kind": "olmo", "name": "allenai_gpt-neox-olmo-dolma-v1_5", "vocab_size": 50280}
TOKENS = np.array([1, 2, 50279] * 100, "<u2")


def saved(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array, allow_pickle=True)
    return made.getvalue()


def of_path(make: Callable[[Path], object], project: Path) -> Iterator[None]:
    """A corpus of what is made for a file of tokens."""
    make(project / "a.npy")
    good = np.arange(400, dtype="<u2") % 50
    good[::20] = 50279
    good.tofile(project / "eval.npy")
    yield
    build(
        project,
        [{"kind": "memmap", "paths": ["a.npy"]}],
        tokenizer={**SMALL, "eos_token_id": 50279},
        eval_sources=[{"kind": "memmap", "paths": ["eval.npy"]}],
    )


def data(content: bytes) -> Callable[[Path], object]:
    """A file of these bytes, of which there is an even number."""
    return lambda path: path.write_bytes(content + b" " * (len(content) % 2))


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "an array of Python objects": (data(saved(np.array([{}]))), "a.npy: a NumPy file with a head"),
    "a pickle": (data(pickle.dumps(list(range(100)))), "a.npy: a pickle"),
    "a pipe": (os.mkfifo, "memmap 'a.npy' matches no file"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "'a.npy' matches no file"),
}
rows(KIND, of_path, FILES)

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


def of_manifest(content: dict[str, Any] | bytes, project: Path) -> Iterator[None]:
    """A manifest as training and measurements read it, with the files that it should name."""
    from zsl.data.manifest import read_manifest
    from zsl.data.tokens import open_split

    tokens = project / "results" / "small" / "data" / "text" / "tokens"
    tokens.mkdir(parents=True)
    for name in ("train-00000.bin", "eval-00000.bin"):
        np.zeros(32, "<u2").tofile(tokens / name)
    data = content if isinstance(content, bytes) else json.dumps({**MANIFEST, **content}).encode()
    (tokens.parent / "manifest.json").write_bytes(data)
    yield
    for split in ("train", "eval"):
        open_split(tokens, read_manifest(tokens.parent / "manifest.json"), split).batch([0])


NONE = "manifest.json: not a corpus manifest"
MANIFESTS: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "that leads out of its folder": ({"train": [{**FILE, "name": "../../../../outside"}]}, NONE),
    "of Python objects": ({"dtype": "object"}, NONE),
    "with fewer than no tokens": ({"train": [{**FILE, "tokens": -1}], "train_tokens": -1}, NONE),
    "with more tokens than the file has": (
        {"train": [{**FILE, "tokens": 10**15}], "train_tokens": 10**15},
        "train-00000.bin has 64 bytes, its manifest says",
    ),
    "nested 100,000 deep": (b"[" * 100_000, NONE),
}
rows(KIND, of_manifest, {f"a manifest {name}": row for name, row in MANIFESTS.items()})


def header(shape: tuple[int, ...]) -> bytes:
    """A NumPy file that declares this shape and ends."""
    made = io.BytesIO()
    values = {"descr": "<i8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(made, values)
    return made.getvalue()


def expression(text: str) -> bytes:
    """A NumPy file with this for its header."""
    size = len(text) + 1
    return b"\x93NUMPY\x02\x00" + size.to_bytes(4, "little") + text.encode() + b"\n"


def of_tokens(content: bytes, project: Path) -> Iterator[None]:
    """The file that ``zsl measure --tokens`` names."""
    from zsl.measure.ids import _read

    (project / "a.npy").write_bytes(content)
    yield
    _read(project / "a.npy")


NOT_IDS = "a.npy: not a NumPy file of token ids"
NUMPY: dict[str, tuple[bytes, str]] = {
    "an array of a trillion numbers in a few bytes": (header((10**12,)), NOT_IDS),
    "a saved array of Python objects": (saved(np.array([{}])), NOT_IDS),
    "Python for a header": (expression("__import__('os').system('touch ../x')"), NOT_IDS),
    "a header of 2 GiB": (b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little"), NOT_IDS),
}
rows(KIND, of_tokens, NUMPY)
