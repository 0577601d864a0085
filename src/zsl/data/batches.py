"""A corpus of a few batches of a long list of token files, of which nothing else is read."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from zsl.config.sources import Batches, MemmapSource
from zsl.data.download import local_path
from zsl.data.manifest import BatchesRead, SourceFile, TokenFile
from zsl.data.memmaps import (
    Placed,
    Plan,
    Vocabulary,
    eos_made,
    exchanged,
    little_endian,
    report_of,
)
from zsl.data.number_format import check_numbers
from zsl.data.ranges import ChangedError, RangedTokens, Ranges, batch_indices, sampled_indices
from zsl.data.shards import Shard, listed, local_shards, tokens_in
from zsl.data.sources import Place
from zsl.errors import BrokenFileError, DataError
from zsl.files import read_json, sha256, sha256_of_json, write_json

log = logging.getLogger(__name__)


def plan_batches(source: MemmapSource, place: Place) -> Plan:
    """All files of a memmap source with their sizes, of which batches will be read.

    Servers are asked for a size once: a later call has it from the folder of downloads. Raises
    DataError if one does not tell it or knows no Range requests.
    """
    if source.paths:
        return Plan(source, tuple(local_shards(source, place.root)))
    remotes = listed(source, place.downloads)
    urls = [remote.url for remote in remotes]
    sizes = _sizes(list(dict.fromkeys(urls)), place.downloads)
    item = np.dtype(source.dtype).itemsize
    shards = [Shard(url, tokens_in(url, sizes[url], item), path=local_path(url)) for url in urls]
    return Plan(source, tuple(shards))


def _sizes(urls: Sequence[str], downloads: Path) -> dict[str, int]:
    """Bytes of the files at addresses."""
    note = _note(urls, downloads)
    try:
        known = read_json(note)
        if isinstance(known, dict) and all(_is_size(known.get(url)) for url in urls):
            return known
    except (BrokenFileError, FileNotFoundError):
        pass
    log.info("asking for the sizes of %s files, once", f"{len(urls):,}")
    here = {url: path for url in urls if (path := local_path(url)) is not None}
    missing = [str(path) for path in here.values() if not path.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: no such file; correct the address")
    away = [url for url in urls if url not in here]
    found = {url: path.stat().st_size for url, path in here.items()}
    found |= dict(zip(away, Ranges().sizes(away), strict=True))
    downloads.mkdir(parents=True, exist_ok=True)
    write_json(note, found)
    return found


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 < value < 1 << 60


def _note(urls: Sequence[str], downloads: Path) -> Path:
    """Where the sizes of files are noted."""
    return downloads / f"sizes-{sha256_of_json([*urls])[:16]}.json"


def place_batches(
    plan: Plan, vocabulary: Vocabulary, place: Place, folder: Path, first: int
) -> Placed:
    """Write the sequences of a plan's batches, in their order, into ``folder`` as
    ``train-<first>.bin``, in the number format and with the EOS of the corpus.

    Memory is that of the order and of a batch. Raises DataError where there are too few sequences,
    a server does not give a part of a file, a file changed, or ids are none of the vocabulary.
    """
    source, batches = plan.source, plan.source.batches
    assert batches is not None
    length, size = batches.sequence_length, vocabulary.size
    tokens = RangedTokens(plan.shards, length, dtype=source.dtype, vocabulary=size)
    indices = _indices(batches, len(tokens))
    report, name = report_of(plan, "train", {}), f"train-{first:05d}.bin"
    counts, digest = np.zeros(size, dtype=np.int64), hashlib.sha256()
    log.info("%s: %s sequences in all files", _said(batches), f"{len(tokens):,}")
    with (folder / name).open("wb") as file, _bar(batches.tokens * tokens.dtype.itemsize) as bar:
        for numbers in indices:
            ids = _read(tokens, numbers, plan, place)
            data = ids.astype(tokens.dtype).tobytes()
            check_numbers(data, report.origin, source.dtype, size)
            digest.update(data)
            ids = exchanged(ids, source, vocabulary)
            ids.astype(little_endian(vocabulary.dtype)).tofile(file)
            counts += np.bincount(ids.reshape(-1), minlength=size)
            bar.update(len(data))
    if not counts[eos := eos_made(source, vocabulary)]:
        log.warning(
            "no token %s (EOS) in these %s tokens; if documents of these files end with another "
            "id of the same vocabulary, give it as eos_token_id",
            eos,
            f"{batches.tokens:,}",
        )
    origin = f"{report.origin}, {_said(batches)}"
    read = BatchesRead(
        **batches.model_dump(),
        files=len(plan.shards),
        sequences=len(tokens),
        files_sha256=sha256_of_json([[shard.origin, shard.tokens] for shard in plan.shards]),
        bytes=tokens.bytes_read,
    )
    # Local files are inputs of the job, whose record has their digests.
    parts = SourceFile(origin, batches.tokens * tokens.dtype.itemsize, digest.hexdigest())
    files = () if source.paths else (parts,)
    made = TokenFile(name, batches.tokens, sha256(folder / name), origin)
    return Placed((made,), replace(report, origin=origin, files=files, batches=read), counts)


def _indices(batches: Batches, n_sequences: int) -> np.ndarray:
    """Numbers of the sequences of each batch, (batches, sequences)."""
    shape = (batches.count, batches.batch_size)
    if batches.first is None:
        drawn = sampled_indices(n_sequences, batches.seed, batches.count * batches.batch_size)
        return drawn.reshape(shape)
    order = n_sequences, batches.seed, batches.batch_size
    return batch_indices(*order, batches.first, batches.count).reshape(shape)


def _read(tokens: RangedTokens, numbers: np.ndarray, plan: Plan, place: Place) -> np.ndarray:
    """Sequences, (sequences, positions) int64; says what to do where a file changed."""
    try:
        return tokens.batch(numbers)
    except ChangedError as error:
        note = _note(list(dict.fromkeys(shard.origin for shard in plan.shards)), place.downloads)
        again = f"; to number them anew, delete {note} and run again" if note.exists() else ""
        raise DataError(f"{error}{again}") from None


def _said(batches: Batches) -> str:
    """The batches in a few words."""
    if batches.first is None:
        drawn = batches.count * batches.batch_size
        return f"{drawn:,} sequences drawn (seed {batches.seed})"
    last = batches.first + batches.count - 1
    which = f"batch {last}" if batches.count == 1 else f"batches {batches.first} to {last}"
    return f"{which} of OLMo's order (seed {batches.seed})"


def _bar(size: int) -> tqdm[Any]:
    wait = 0.2 if sys.stderr.isatty() else 10
    return tqdm(total=size, desc="read", unit="B", unit_scale=True, mininterval=wait)
