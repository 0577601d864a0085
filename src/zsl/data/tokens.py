"""Sequences of token files, as training and measurements read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from zsl.config.schema import Run
from zsl.data.manifest import Manifest, Split
from zsl.errors import DataError
from zsl.files import sha256

CHECKED = 1 << 30
"""Bytes of a token file up to which it is hashed when it is opened, in a second or two. At the
paper's scale, that would be minutes in every job: there, a flipped bit is for the audit to find."""


class TokenFiles:
    """Headerless token files cut into sequences, numbered over all files in order.

    Each file gives its whole sequences; its remainder is not read. Sequence i is item i of
    OLMo's ``MemMapDataset`` over the same files. With ``overlapping``, a sequence starts at
    every token of a file that has enough tokens after it.
    """

    def __init__(
        self, paths: Sequence[Path], dtype: str, sequence_length: int, *, overlapping: bool = False
    ) -> None:
        self.sequence_length = sequence_length
        self._stride = 1 if overlapping else sequence_length
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._paths = [Path(path) for path in paths]
        tokens = [path.stat().st_size // self._dtype.itemsize for path in self._paths]
        counts = [max(0, (n - sequence_length) // self._stride + 1) for n in tokens]
        self._starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self._files: dict[Path, npt.NDArray[np.unsignedinteger]] = {}

    def __len__(self) -> int:
        """Number of sequences."""
        return int(self._starts[-1])

    def batch(self, indices: Sequence[int] | npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Token ids of these sequences, (len(indices), sequence_length).

        Raises IndexError for an index below 0 or not below ``len(self)``.
        """
        wanted = np.asarray(indices, dtype=np.int64)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(
                f"sequences {wanted.min()} to {wanted.max()} asked for, there are {len(self)}"
            )
        tokens = np.empty((len(wanted), self.sequence_length), dtype=np.int64)
        files = np.searchsorted(self._starts, wanted, side="right") - 1
        for file in np.unique(files):
            rows = files == file
            tokens[rows] = self._sequences(int(file))[wanted[rows] - self._starts[file]]
        return tokens

    def _sequences(self, file: int) -> npt.NDArray[np.unsignedinteger]:
        """Sequences of one file, mapped: (sequences, sequence_length)."""
        path = self._paths[file]
        if path not in self._files:
            tokens = np.memmap(path, dtype=self._dtype, mode="r")
            starts = sliding_window_view(tokens, self.sequence_length)
            self._files[path] = starts[:: self._stride]
        return self._files[path]


def open_split(
    folder: Path,
    manifest: Manifest,
    split: Split,
    sequence_length: int | None = None,
    *,
    overlapping: bool = False,
) -> TokenFiles:
    """Open the training or evaluation files of a corpus.

    ``sequence_length`` is that of the run; None: that of the evaluation set. ``overlapping`` as
    for :class:`TokenFiles`. Raises DataError if a file is missing or its size, or the SHA-256 of
    one of at most ``CHECKED`` bytes, is not that of the manifest.
    """
    files = manifest.train if split == "train" else manifest.eval
    item = np.dtype(manifest.dtype).itemsize
    for file in dict.fromkeys(files):
        path = folder / file.name
        size = path.stat().st_size if path.exists() else None
        if size != file.tokens * item:
            found = "is missing" if size is None else f"has {size} bytes"
            raise DataError(
                f"{path} {found}, its manifest says {file.tokens * item} bytes ({file.tokens} "
                f"tokens of {manifest.dtype}); delete {folder} and run again: it is made anew"
            )
        if size <= CHECKED and (found := sha256(path)) != file.sha256:
            raise DataError(
                f"{path}: damaged: SHA-256 {found[:16]}… instead of {file.sha256[:16]}…, which its "
                f"manifest says; delete {folder} and run again: it is made anew"
            )
    paths = [folder / file.name for file in files]
    length = sequence_length or manifest.sequence_length
    return TokenFiles(paths, manifest.dtype, length, overlapping=overlapping)


def open_training(folder: Path, manifest: Manifest, run: Run) -> TokenFiles:
    """The training sequences of a corpus that ``run`` reads; errors as for :func:`open_split`."""
    overlapping = run.sampling == "offsets"
    return open_split(folder, manifest, "train", run.sequence_length, overlapping=overlapping)
