"""Tokens already made: fetched or linked, checked, never rewritten without need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zsl.config.sources import MemmapSource
from zsl.data.download import fetch_all
from zsl.data.manifest import Share, SourceFile, SourceReport, Split, TokenFile
from zsl.data.shards import Shard, local_shards, proportional, remote_shards
from zsl.data.sources import Place
from zsl.errors import DataError
from zsl.files import link_or_copy, sha256

ITEMS = 1 << 24
"""Tokens looked at together."""
NUMPY = b"\x93NUMPY"
"""How a file of NumPy's ``save`` begins."""


@dataclass(frozen=True)
class Vocabulary:
    """What the tokens of a corpus are."""

    dtype: str
    """Number format."""
    size: int
    """Ids are below this."""
    eos: int
    """Id of the end of a document."""


@dataclass(frozen=True)
class Plan:
    """The files of a memmap source that will be read."""

    source: MemmapSource
    shards: tuple[Shard, ...]
    """In reading order, with repetitions."""
    shares: tuple[Share, ...] = ()
    """Groups, when this is a subset."""


def plan_memmaps(source: MemmapSource, place: Place) -> Plan:
    """Find the files of a memmap source and their sizes, without fetching them."""
    local = bool(source.paths)
    shards = local_shards(source, place.root) if local else remote_shards(source, place.downloads)
    if source.subset_tokens is None:
        return Plan(source, tuple(shards))
    chosen, shares = proportional(shards, source.subset_tokens)
    return Plan(source, tuple(chosen), shares)


def place_memmaps(
    plan: Plan, vocabulary: Vocabulary, place: Place, folder: Path, first: int
) -> tuple[list[TokenFile], SourceReport]:
    """Fetch the files of a plan and link them into ``folder`` as ``train-<number>.bin`` from
    number ``first`` on; a file listed twice is there once and comes back twice.

    A file is copied when it cannot be linked, and rewritten only when its number format or its
    EOS is not the corpus'. Raises DataError for wrong sizes, digests or ids.
    """
    paths = _bring(plan, place)
    files: dict[str, TokenFile] = {}
    read: dict[str, SourceFile] = {}
    has_eos = False
    for shard, path in zip(plan.shards, paths, strict=True):
        if shard.origin in files:
            continue
        has_eos |= _check_ids(path, shard.origin, plan.source, vocabulary)
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
    _require_eos(has_eos, plan, vocabulary)
    return [files[shard.origin] for shard in plan.shards], _report(plan, "train", read)


def read_memmaps(
    plan: Plan, vocabulary: Vocabulary, place: Place, tokens: int
) -> tuple[npt.NDArray[np.uint32], SourceReport]:
    """First ``tokens`` ids of a plan's files, or all there are when they are fewer."""
    paths = _bring(plan, place)
    parts: list[npt.NDArray[np.uint32]] = []
    read: dict[str, SourceFile] = {}
    has_eos, missing = False, tokens
    for shard, path in zip(plan.shards, paths, strict=True):
        if missing == 0:
            break
        has_eos |= _check_ids(path, shard.origin, plan.source, vocabulary)
        ids = np.fromfile(path, dtype=_little(plan.source.dtype), count=missing)
        parts.append(_exchanged(ids, plan.source, vocabulary).astype(np.uint32))
        missing -= len(ids)
        read[shard.origin] = SourceFile(shard.origin, path.stat().st_size, sha256(path))
    _require_eos(has_eos, plan, vocabulary)
    return np.concatenate(parts), _report(plan, "eval", read)


def _bring(plan: Plan, place: Place) -> list[Path]:
    """Paths of a plan's files in its order, fetched where necessary and of the size planned."""
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
        _refuse_header(path, shard.origin)
    return paths


def _report(plan: Plan, use: Split, read: dict[str, SourceFile]) -> SourceReport:
    source = plan.source
    listed = source.shards.remote.url if source.shards else None
    origin = listed or " ".join([*source.paths, *(remote.url for remote in source.remote)])
    files = tuple(read.values())
    return SourceReport(use, source.kind, origin, files, shares=plan.shares)


def _little(dtype: str) -> np.dtype[np.unsignedinteger]:
    return np.dtype(dtype).newbyteorder("<")


def _chunks(path: Path, dtype: str) -> Iterator[npt.NDArray[np.unsignedinteger]]:
    with path.open("rb") as file:
        while len(ids := np.fromfile(file, dtype=_little(dtype), count=ITEMS)):
            yield ids


def _own_eos(source: MemmapSource, vocabulary: Vocabulary) -> int:
    return vocabulary.eos if source.eos_token_id is None else source.eos_token_id


def _refuse_header(path: Path, origin: str) -> None:
    """Raise DataError for what NumPy's ``save`` wrote: its header would be taken for tokens."""
    with path.open("rb") as file:
        if file.read(len(NUMPY)) == NUMPY:
            raise DataError(
                f"{origin}: a NumPy file with a header, expected token ids from the first byte on; "
                "write it with array.tofile"
            )


def _check_ids(path: Path, origin: str, source: MemmapSource, vocabulary: Vocabulary) -> bool:
    """Whether EOS occurs in a file. Raises DataError for an id beyond the vocabulary."""
    eos, found, position = _own_eos(source, vocabulary), False, 0
    for ids in _chunks(path, source.dtype):
        largest = int(ids.max())
        if largest >= vocabulary.size:
            where = position + int(np.argmax(ids >= vocabulary.size))
            raise DataError(
                f"{origin}: token {where} has an id ({int(ids[where - position])}) not below "
                f"vocab_size {vocabulary.size}; the file was made with another tokenizer or "
                f"another dtype than {source.dtype}"
            )
        found = found or bool((ids == eos).any())
        position += len(ids)
    return found


def _require_eos(found: bool, plan: Plan, vocabulary: Vocabulary) -> None:
    if not found:
        eos = _own_eos(plan.source, vocabulary)
        raise DataError(
            f"{plan.shards[0].origin}: no token {eos} (EOS) in {len(plan.shards)} files, so "
            "documents are not separated as declared; if the files' EOS is another id of the same "
            "vocabulary, give it as the source's eos_token_id"
        )


def _as_it_is(source: MemmapSource, vocabulary: Vocabulary) -> bool:
    return source.dtype == vocabulary.dtype and _own_eos(source, vocabulary) == vocabulary.eos


def _exchanged(
    ids: npt.NDArray[np.unsignedinteger], source: MemmapSource, vocabulary: Vocabulary
) -> npt.NDArray[np.unsignedinteger]:
    """Ids with the files' EOS and the corpus' EOS in each other's place."""
    own = _own_eos(source, vocabulary)
    if own == vocabulary.eos:
        return ids
    result = ids.copy()
    result[ids == own] = vocabulary.eos
    result[ids == vocabulary.eos] = own
    return result


def _rewrite(path: Path, target: Path, source: MemmapSource, vocabulary: Vocabulary) -> None:
    with target.open("wb") as file:
        for ids in _chunks(path, source.dtype):
            _exchanged(ids, source, vocabulary).astype(_little(vocabulary.dtype)).tofile(file)


def memmap_dtype(plans: Sequence[Plan], smallest: str) -> str:
    """Number format of a corpus: the memmaps', which stay as they are, if they agree and hold
    the vocabulary, else the smallest that does."""
    declared = {plan.source.dtype for plan in plans}
    if len(declared) == 1 and not (smallest == "uint32" and declared == {"uint16"}):
        return declared.pop()
    return smallest if not declared else "uint32"
