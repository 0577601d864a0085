"""Lists of token shards, and proportional subsets of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from zsl.config.sources import MemmapSource, Remote, ShardList
from zsl.config.yaml_files import read_values
from zsl.data.download import fetch, remote_sizes
from zsl.data.fields import named
from zsl.data.manifest import Share
from zsl.data.patterns import matching
from zsl.errors import BrokenFileError, DataError

LARGEST_LIST = 1 << 23
"""Bytes of a list of shards."""


@dataclass(frozen=True)
class Shard:
    """A file of token ids, here or on a server."""

    origin: str
    """Its address, or its path as declared."""
    tokens: int
    """Token ids in it."""
    path: Path | None = None
    """Where it is, when it is here."""
    remote: Remote | None = None
    """Where to fetch it, when it is not."""

    @property
    def group(self) -> str:
        """Folder of the shard: the shards of one part of a mix share it."""
        return self.origin.rpartition("/")[0]


def local_shards(source: MemmapSource, root: Path) -> list[Shard]:
    """Shards of a memmap source's local ``paths``, globs sorted. Raises DataError."""
    item = np.dtype(source.dtype).itemsize
    shards = []
    for pattern in source.paths:
        anchor = Path(pattern).anchor
        base, relative = (Path(anchor), pattern[len(anchor) :]) if anchor else (root, pattern)
        found = matching(base, relative)
        if not found:
            raise DataError(
                f"memmap {pattern!r} matches no file; correct the path (relative ones are below "
                "the project's folder)"
            )
        for path in found:
            origin = str(path) if anchor else path.relative_to(root).as_posix()
            shards.append(Shard(origin, tokens_in(origin, path.stat().st_size, item), path=path))
    return shards


def remote_shards(source: MemmapSource, downloads: Path) -> list[Shard]:
    """Shards of a memmap source's ``remote`` files or published list, with the sizes that their
    servers tell; a shard listed twice is there twice.

    Raises DataError if the list cannot be read or a server tells no size.
    """
    remotes = listed(source, downloads)
    distinct = {remote.url: remote for remote in remotes}
    sizes = dict(zip(distinct, remote_sizes(distinct.values()), strict=True))
    silent = [url for url, size in sizes.items() if size is None]
    if silent:
        raise DataError(
            f"no size for {len(silent)} of {len(sizes)} shards, such as {silent[0]}; check the "
            "addresses and the network"
        )
    item = np.dtype(source.dtype).itemsize
    return [
        Shard(remote.url, tokens_in(remote.url, sizes[remote.url] or 0, item), remote=remote)
        for remote in remotes
    ]


def listed(source: MemmapSource, downloads: Path) -> list[Remote]:
    """Files of servers that a memmap source names, with repetitions. Raises DataError."""
    return read_shard_list(source.shards, downloads) if source.shards else source.remote


def tokens_in(origin: str, size: int, item: int) -> int:
    """Ids of ``item`` bytes in a file of ``size`` bytes. Raises DataError where that is no whole
    number above zero."""
    if size == 0 or size % item:
        raise DataError(
            f"{origin}: {size} bytes are not a whole number of {item}-byte tokens above zero; "
            "correct dtype, or get the file again"
        )
    return size // item


def read_shard_list(listed: ShardList, downloads: Path) -> list[Remote]:
    """Addresses in a published list, in order and with repetitions.

    Raises DataError, also where a list of a server names files of this machine.
    """
    path = fetch(listed.remote, downloads).path
    try:
        value: Any = read_values(path, LARGEST_LIST)
    except BrokenFileError as error:
        raise DataError(f"{listed.remote.url}: {error}; correct shards.remote") from None
    for key in listed.key.split("."):
        if not isinstance(value, dict) or key not in value:
            there = named(value) if isinstance(value, dict) else type(value).__name__
            raise DataError(
                f"{listed.remote.url}: no {listed.key!r} (looking for {key!r} in {there}); "
                "correct shards.key"
            )
        value = value[key]
    if not isinstance(value, list) or not value or not all(isinstance(url, str) for url in value):
        raise DataError(f"{listed.remote.url}: {listed.key!r} is not a list of addresses")
    local = listed.remote.url.startswith("file:")
    wrong = [url for url in value if not _may_be_listed(url, local)]
    if wrong:
        raise DataError(
            f"{listed.remote.url}: {listed.key!r} names {wrong[0][:200]!r}, which is no address of "
            "a file on a server; give a list of http or https addresses"
        )
    return [Remote(url=url) for url in value]


def _may_be_listed(url: str, local: bool) -> bool:
    try:
        remote = Remote(url=url)
    except ValidationError:
        return False
    return local or not remote.url.startswith("file:")


def proportional(shards: Sequence[Shard], tokens: int) -> tuple[list[Shard], tuple[Share, ...]]:
    """The fewest first shards of each group that hold ``tokens`` with the shares of the whole.

    Shards are taken one by one, the next one always from the group that is furthest behind its
    share, until there are enough; a group whose share is much less than a shard may get none.
    Shards keep their order and repetitions. Raises DataError if the whole list is too small.
    """
    total = sum(shard.tokens for shard in shards)
    if total < tokens:
        raise DataError(
            f"subset_tokens {tokens:,} is more than the {total:,} tokens of all shards; lower it "
            "or leave it out"
        )
    groups: dict[str, list[int]] = {}
    for number, shard in enumerate(shards):
        groups.setdefault(shard.group, []).append(number)
    whole = {group: sum(shards[n].tokens for n in members) for group, members in groups.items()}
    counts = dict.fromkeys(groups, 0)
    taken = dict.fromkeys(groups, 0)
    while sum(taken.values()) < tokens:
        # Compared in integers (share * total), so that the choice is exact.
        behind = {
            group: whole[group] * tokens - taken[group] * total
            for group in groups
            if counts[group] < len(groups[group])
        }
        group = max(behind, key=lambda name: behind[name])
        taken[group] += shards[groups[group][counts[group]]].tokens
        counts[group] += 1
    numbers = sorted(n for group, members in groups.items() for n in members[: counts[group]])
    shares = tuple(
        Share(group, len(groups[group]), whole[group], counts[group], taken[group])
        for group in groups
    )
    return [shards[n] for n in numbers], shares
