"""Tokens already made: fetched or linked, checked, never rewritten without need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zsl.config.sources import MemmapSource
from zsl.data.download import fetch_all
from zsl.data.manifest import Eos, Share, SourceFile, SourceReport, Split, TokenFile
from zsl.data.number_format import check_format
from zsl.data.shards import Shard, local_shards, proportional, remote_shards
from zsl.data.sources import Place
from zsl.errors import DataError
from zsl.files import link_or_copy, sha256

ITEMS = 1 << 20
"""Tokens looked at together."""
LABEL_PADDING = -100
"""What transformers puts where no loss is to be computed: in ``labels``, never in ``input_ids``."""
Ids = npt.NDArray[np.integer]
Counts = npt.NDArray[np.int64]
"""(ids,) how often each id occurs."""


@dataclass(frozen=True)
class Vocabulary:
    """What the tokens of a corpus are."""

    dtype: str
    """Number format."""
    size: int
    """Ids are below this."""
    eos: int
    """Id of the end of a document."""
    special: Mapping[int, str] = field(default_factory=dict)
    """Special tokens by their ids: which of them occur is told where EOS does not."""


@dataclass(frozen=True)
class Plan:
    """The files of a memmap source that will be read."""

    source: MemmapSource
    shards: tuple[Shard, ...]
    """In reading order, with repetitions."""
    shares: tuple[Share, ...] = ()
    """Groups, when this is a subset."""

    @property
    def file_tokens(self) -> list[int]:
        """Tokens of each file that will be made, in reading order."""
        batches = self.source.batches
        return [batches.tokens] if batches else [shard.tokens for shard in self.shards]


def plan_memmaps(source: MemmapSource, place: Place) -> Plan:
    """Find the files of a memmap source and their sizes, without fetching them."""
    local = bool(source.paths)
    shards = local_shards(source, place.root) if local else remote_shards(source, place.downloads)
    if source.subset_tokens is None:
        return Plan(source, tuple(shards))
    chosen, shares = proportional(shards, source.subset_tokens)
    return Plan(source, tuple(chosen), shares)


@dataclass(frozen=True)
class Placed:
    """The files of a memmap source in the corpus."""

    files: tuple[TokenFile, ...]
    """In reading order; a file listed twice is there twice."""
    report: SourceReport
    counts: Counts
    """Of all of them, a file listed twice counted twice."""


def place_memmaps(
    plan: Plan, vocabulary: Vocabulary, place: Place, folder: Path, first: int
) -> Placed:
    """Fetch the files of a plan and link them into ``folder`` as ``train-<number>.bin`` from
    number ``first`` on; a file listed twice is there once and comes back twice.

    A file is copied when it cannot be linked, and rewritten only when its number format or its
    EOS is not the corpus'. Raises DataError for wrong sizes, formats, digests or ids.
    """
    paths = _bring(plan, vocabulary, place)
    times = Counter(shard.origin for shard in plan.shards)
    files: dict[str, TokenFile] = {}
    read: dict[str, SourceFile] = {}
    counts = np.zeros(vocabulary.size, dtype=np.int64)
    for shard, path in zip(plan.shards, paths, strict=True):
        if shard.origin in files:
            continue
        counts += times[shard.origin] * _count_ids(path, shard.origin, plan.source, vocabulary)
        name = f"train-{first + len(files):05d}.bin"
        digest = sha256(path)
        placed = digest
        if _as_it_is(plan.source, vocabulary):
            link_or_copy(path, folder / name)
        else:
            _rewrite(path, folder / name, plan.source, vocabulary)
            placed = sha256(folder / name)
        files[shard.origin] = TokenFile(name, shard.tokens, placed, shard.origin)
        read[shard.origin] = SourceFile(shard.origin, path.stat().st_size, digest)
    _require_eos(counts, plan, vocabulary)
    in_order = tuple(files[shard.origin] for shard in plan.shards)
    return Placed(in_order, report_of(plan, "train", read), counts)


def read_memmaps(
    plan: Plan, vocabulary: Vocabulary, place: Place, tokens: int
) -> tuple[npt.NDArray[np.uint32], SourceReport]:
    """First ``tokens`` ids of a plan's files, or all there are when they are fewer."""
    paths = _bring(plan, vocabulary, place)
    parts: list[npt.NDArray[np.uint32]] = []
    read: dict[str, SourceFile] = {}
    counts, missing = np.zeros(vocabulary.size, dtype=np.int64), tokens
    for shard, path in zip(plan.shards, paths, strict=True):
        if missing == 0:
            break
        counts += _count_ids(path, shard.origin, plan.source, vocabulary)
        ids = np.fromfile(path, dtype=little_endian(plan.source.dtype), count=missing)
        parts.append(exchanged(ids, plan.source, vocabulary).astype(np.uint32))
        missing -= len(ids)
        read[shard.origin] = SourceFile(shard.origin, path.stat().st_size, sha256(path))
    _require_eos(counts, plan, vocabulary)
    return np.concatenate(parts), report_of(plan, "eval", read)


def _bring(plan: Plan, vocabulary: Vocabulary, place: Place) -> list[Path]:
    """Paths of a plan's files in its order, fetched where necessary, and of the size planned and
    the format declared."""
    remotes = [shard.remote for shard in plan.shards if shard.remote is not None]
    fetched = fetch_all(remotes, place.downloads, what=f"{len(remotes)} shards") if remotes else []
    here = {file.url: file.path for file in fetched}
    paths = [shard.path or here[shard.origin] for shard in plan.shards]
    item = np.dtype(plan.source.dtype).itemsize
    for shard, path in zip(plan.shards, paths, strict=True):
        if path.stat().st_size != shard.tokens * item:
            raise DataError(
                f"{shard.origin}: {path.stat().st_size} bytes, expected {shard.tokens * item}; "
                "the file changed while it was read: run again"
            )
    for origin, path in {s.origin: p for s, p in zip(plan.shards, paths, strict=True)}.items():
        check_format(path, origin, plan.source.dtype, vocabulary.size)
    return paths


def report_of(plan: Plan, use: Split, read: dict[str, SourceFile]) -> SourceReport:
    """What became of a memmap source, of which these files were read."""
    source = plan.source
    listed = source.shards.remote.url if source.shards else None
    origin = listed or " ".join([*source.paths, *(remote.url for remote in source.remote)])
    files = tuple(read.values())
    eos = None if source.eos_token_id is None else Eos(source.eos_token_id, source.eos)
    return SourceReport(use, source.kind, origin, files, shares=plan.shares, eos=eos)


def little_endian(dtype: str) -> np.dtype[np.integer]:
    """A number format as it is in files."""
    return np.dtype(dtype).newbyteorder("<")


def _chunks(path: Path, dtype: str) -> Iterator[Ids]:
    with path.open("rb") as file:
        while len(ids := np.fromfile(file, dtype=little_endian(dtype), count=ITEMS)):
            yield ids


def _own_eos(source: MemmapSource, vocabulary: Vocabulary) -> int:
    return vocabulary.eos if source.eos_token_id is None else source.eos_token_id


def eos_made(source: MemmapSource, vocabulary: Vocabulary) -> int:
    """What ends a document in the files of the corpus."""
    return _own_eos(source, vocabulary) if source.eos == "kept" else vocabulary.eos


def _count_ids(path: Path, origin: str, source: MemmapSource, vocabulary: Vocabulary) -> Counts:
    """How often each id of the corpus occurs in a file. Raises DataError for an id that is none."""
    counts, position = np.zeros(vocabulary.size, dtype=np.int64), 0
    for ids in _chunks(path, source.dtype):
        if int(ids.max()) >= vocabulary.size or int(ids.min()) < 0:
            where = int(np.argmax((ids >= vocabulary.size) | (ids < 0)))
            raise DataError(
                f"{origin}: token {position + where} has an id ({int(ids[where])}) "
                + _no_id(int(ids[where]), source.dtype, vocabulary.size)
            )
        counts += np.bincount(ids, minlength=vocabulary.size)
        position += len(ids)
    own, eos = _own_eos(source, vocabulary), eos_made(source, vocabulary)
    counts[[own, eos]] = counts[[eos, own]]
    return counts


def _no_id(number: int, dtype: str, vocab_size: int) -> str:
    """Why a number is no id, and what to do."""
    if number in (LABEL_PADDING, LABEL_PADDING + (1 << 8 * np.dtype(dtype).itemsize)):
        return (
            f"that is {LABEL_PADDING}, with which transformers pads labels; write input_ids "
            "without padding, not labels"
        )
    return (
        f"{'below 0' if number < 0 else f'not below vocab_size {vocab_size}'}; the file was made "
        f"with another tokenizer or another dtype than {dtype}"
    )


def _require_eos(counts: Counts, plan: Plan, vocabulary: Vocabulary) -> None:
    """Raise DataError where no document ends."""
    if counts[eos_made(plan.source, vocabulary)]:
        return
    eos = _own_eos(plan.source, vocabulary)
    there = sorted((-int(counts[id]), id) for id in vocabulary.special if counts[id])[:3]
    found = ", ".join(f"{vocabulary.special[id]!r:.60} ({id}) {-n:,} times" for n, id in there)
    small = plan.source.dtype == "uint16" and eos > np.iinfo(np.uint16).max
    raise DataError(
        f"{plan.shards[0].origin}: no token {eos} (EOS) in {len(plan.shards)} files, so "
        "documents are not separated as declared; "
        + (f"uint16 holds no {eos}: declare the dtype of the files, or make them again; " * small)
        + (f"of the special tokens there are {found}; " if found else "")
        + "if what separates documents is another id of the same vocabulary, give it as the "
        "source's eos_token_id"
    )


def _as_it_is(source: MemmapSource, vocabulary: Vocabulary) -> bool:
    same_eos = _own_eos(source, vocabulary) == eos_made(source, vocabulary)
    return source.dtype == vocabulary.dtype and same_eos


def exchanged(ids: Ids, source: MemmapSource, vocabulary: Vocabulary) -> Ids:
    """Ids with the files' EOS and the corpus' EOS in each other's place, if they are not to stay
    as they are."""
    own, eos = _own_eos(source, vocabulary), eos_made(source, vocabulary)
    if own == eos:
        return ids
    result = ids.copy()
    result[ids == own] = eos
    result[ids == eos] = own
    return result


def _rewrite(path: Path, target: Path, source: MemmapSource, vocabulary: Vocabulary) -> None:
    with target.open("wb") as file:
        for ids in _chunks(path, source.dtype):
            exchanged(ids, source, vocabulary).astype(little_endian(vocabulary.dtype)).tofile(file)


def memmap_dtype(plans: Sequence[Plan], smallest: str) -> str:
    """Number format of a corpus: uint32 where a memmap is, which stays as it is, else the smallest
    that holds the vocabulary."""
    return "uint32" if any(plan.source.dtype == "uint32" for plan in plans) else smallest
