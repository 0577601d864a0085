import pytest

from zsl.config.sources import MemmapSource, Remote, ShardList
from zsl.data.shards import Shard, local_shards, proportional, read_shard_list
from zsl.errors import DataError


def mix() -> list[Shard]:
    """Three groups with 60, 30 and 10 per cent of the tokens, shards of different sizes."""
    sizes = {"web": [50, 70] * 50, "code": [30] * 100, "wiki": [20, 30] * 20}
    return [
        Shard(f"http://x/{group}/part-{n}.npy", size)
        for group, all_sizes in sizes.items()
        for n, size in enumerate(all_sizes)
    ]


@pytest.mark.parametrize("tokens", [1, 500, 1234, 5000, 9999, 10_000])
def test_a_subset_is_just_large_enough_and_keeps_the_shares(tokens: int) -> None:
    shards = mix()
    total = sum(shard.tokens for shard in shards)
    chosen, shares = proportional(shards, tokens)
    taken = sum(shard.tokens for shard in chosen)
    largest = max(shard.tokens for shard in shards)
    assert tokens <= taken < tokens + largest
    for share in shares:
        assert abs(share.tokens_taken - share.tokens * tokens / total) <= largest
        mine = [shard for shard in shards if shard.group == share.group]
        assert [s for s in chosen if s.group == share.group] == mine[: share.shards_taken]
    assert sum(share.tokens_taken for share in shares) == taken
    assert [shard for shard in shards if shard in chosen] == chosen


def test_repetitions_count_in_the_shares() -> None:
    shards = [Shard("x/a/0", 10), Shard("x/a/0", 10), Shard("x/b/0", 10), Shard("x/b/1", 10)]
    chosen, shares = proportional(shards, 40)
    assert chosen == shards
    assert [share.tokens for share in shares] == [20, 20]


def test_a_subset_larger_than_the_whole_is_refused() -> None:
    with pytest.raises(DataError, match=r"subset_tokens 10,001.*10,000"):
        proportional(mix(), 10_001)


def test_a_published_list_keeps_order_and_repetitions(tmp_path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("data:\n  paths: [http://x/b, http://x/a, http://x/b]\n  other: 1\n")
    listed = ShardList(remote=Remote(url=path.as_uri()))
    urls = [remote.url for remote in read_shard_list(listed, tmp_path / "kept")]
    assert urls == ["http://x/b", "http://x/a", "http://x/b"]
    for key, said in [("data.path", "looking for 'path' in paths, other"), ("data.other", "not a")]:
        wrong = listed.model_copy(update={"key": key})
        with pytest.raises(DataError, match=said):
            read_shard_list(wrong, tmp_path / "kept")


def test_local_shards_are_sorted_and_of_whole_tokens(tmp_path) -> None:
    for name, size in [("b.bin", 8), ("a.bin", 6)]:
        (tmp_path / name).write_bytes(bytes(size))
    source = MemmapSource(kind="memmap", paths=["*.bin"])
    found = local_shards(source, tmp_path)
    assert [(shard.origin, shard.tokens) for shard in found] == [("a.bin", 3), ("b.bin", 4)]
    with pytest.raises(DataError, match=r"a\.bin: 6 bytes are not a whole number of 4-byte"):
        local_shards(source.model_copy(update={"dtype": "uint32"}), tmp_path)
    with pytest.raises(DataError, match=r"c\.bin.*matches no file"):
        local_shards(MemmapSource(kind="memmap", paths=["c.bin"]), tmp_path)
