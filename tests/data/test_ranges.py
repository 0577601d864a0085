"""Sequences by Range requests: those that OLMo reads from the same files."""

import threading

import numpy as np
import pytest
import torch
from hub_server import serving
from olmo_run import BATCH, LENGTH, SEED, dataset, write_shards

from zsl.data.ranges import (
    ChangedError,
    RangedTokens,
    Ranges,
    UnreachableError,
    batch_indices,
    sampled_indices,
)
from zsl.data.shards import Shard
from zsl.errors import DataError, may_pass


@pytest.fixture(autouse=True)
def _no_waiting():
    """Waits are short already, and one of them is tested."""


@pytest.fixture
def paths(tmp_path):
    return write_shards(tmp_path)


@pytest.fixture
def server(paths):
    with serving() as hub:
        hub.files.update({path.name: path.read_bytes() for path in paths})
        yield hub


def shards_of(server):
    """What is on the server, in uint16."""
    sizes = client().sizes(urls(server))
    return [Shard(url, size // 2) for url, size in zip(urls(server), sizes, strict=True)]


def client(**values):
    return Ranges(**{"wait": 0.001, **values})


def urls(server):
    return [f"{server.url}/files/{name}" for name in sorted(server.files)]


@pytest.fixture
def tokens(server):
    return RangedTokens(shards_of(server), LENGTH, client=client())


def test_sizes_cost_a_byte_each(server, paths):
    assert client().sizes(urls(server)) == [path.stat().st_size for path in paths]
    assert server.sent == len(paths)


def test_sequences_are_numbered_as_olmo_numbers_them(tokens, paths):
    theirs = dataset(paths).dataset
    assert len(tokens) == len(theirs) == 430 // 12 + 90 // 12 + 0 + 700 // 12
    everything = tokens.batch(np.arange(len(tokens)))
    assert everything.dtype == np.int64
    for index, ids in enumerate(everything):
        assert torch.equal(torch.from_numpy(ids), theirs[index]["input_ids"])


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_batches_are_those_of_olmos_order(tokens, paths, epoch):
    """Over several epochs' worth of positions."""
    theirs = [item["input_ids"] for item in dataset(paths, epoch=epoch, num_threads=0)]
    per_epoch = len(tokens) // BATCH
    for within in range(per_epoch):
        batch = per_epoch * epoch + within
        found = tokens.batch(batch_indices(len(tokens), SEED, BATCH, batch))
        expected = torch.stack(theirs[within * BATCH : (within + 1) * BATCH])
        assert found.astype("<u2").tobytes() == expected.numpy().astype("<u2").tobytes()


def test_batches_together_are_those_of_olmo(tokens, paths):
    """From the second epoch into the fourth, in one call."""
    theirs = [
        item["input_ids"].numpy()
        for epoch in range(4)
        for item in [*dataset(paths, epoch=epoch, num_threads=0)][: len(tokens) // 6 * 6]
    ]
    first, count = len(tokens) // 6 + 3, 2 * (len(tokens) // 6)
    found = tokens.batch(batch_indices(len(tokens), SEED, 6, first, count))
    assert len(tokens) % 6
    assert np.array_equal(found, theirs[first * 6 : (first + count) * 6])


def test_the_memory_of_a_shuffle_is_told(caplog):
    caplog.set_level("INFO", "zsl")
    batch_indices(1_000_000, SEED, 4, 1)
    assert "shuffling 1,000,000 sequences as in epoch 0 takes 4 MB of memory" in caplog.text
    with pytest.raises(DataError, match="more than the 4,294,967,294 that OLMo shuffles"):
        batch_indices(1 << 32, SEED, 4, 1)


def test_parts_of_files_that_are_here(tokens, paths):
    here = [Shard(path.name, path.stat().st_size // 2, path=path) for path in paths]
    local, indices = RangedTokens(here, LENGTH), np.array([99, 0, 41, 42])
    assert np.array_equal(local.batch(indices), tokens.batch(indices))
    paths[-1].write_bytes(paths[-1].read_bytes()[:-2])
    with pytest.raises(ChangedError, match=r"part-3.* has 1,398 bytes, not the 1,400 that it had"):
        local.batch(indices)


def test_no_more_is_read_than_asked_for(server, tokens):
    server.sent = 0
    indices = batch_indices(len(tokens), SEED, 32, 5)
    tokens.batch(indices)
    assert server.sent == tokens.bytes_read == 32 * LENGTH * 2


def test_a_batch_of_the_paper_is_a_megabyte(server):
    """512 sequences of 1,024 tokens."""
    data = np.random.default_rng(0).integers(0, 50_280, 1024 * 4000, dtype=np.uint16)
    server.files = {"part.npy": data.astype("<u2").tobytes()}
    tokens = RangedTokens(shards_of(server), 1024, vocabulary=50_280, client=client())
    indices = batch_indices(len(tokens), SEED, 512, 3)
    found = tokens.batch(indices)
    assert np.array_equal(found, data.reshape(-1, 1024)[indices])
    assert server.sent - 1 == tokens.bytes_read == 1 << 20
    assert sum(n for line, n in server.asked.items() if "/files/" in line) <= 513


def test_neighbours_are_asked_for_together(server, tokens):
    server.asked.clear()
    tokens.batch(np.array([3, 1, 2, 36, 34, 35]))  # 35 is the first of another shard
    assert server.asked.total() == 3


def test_samples_are_uniform_and_repeat_nothing():
    drawn = sampled_indices(1_300_000_000, 1, 512)
    assert len({*drawn.tolist()}) == 512 and drawn.max() < 1_300_000_000
    assert np.array_equal(drawn, sampled_indices(1_300_000_000, 1, 512))
    counts = np.bincount(np.concatenate([sampled_indices(20, s, 5) for s in range(2000)]))
    assert abs(counts - 500).max() < 5 * np.sqrt(500)
    with pytest.raises(DataError, match="21 of 20 sequences"):
        sampled_indices(20, 1, 21)


def test_what_is_no_sequence(tokens):
    with pytest.raises(DataError, match="there is no sequence 100 among 100"):
        tokens.batch(np.array([100]))
    with pytest.raises(DataError, match="batches of 101 sequences"):
        batch_indices(len(tokens), SEED, 101, 0)


def test_a_server_without_ranges_does_not_send_a_file(server):
    server.no_ranges = True
    with pytest.raises(DataError, match="does not answer Range requests"):
        client().sizes(urls(server))


def test_a_shard_that_changed(server, tokens):
    server.files["part-3-00000.npy"] += b"\0\0"
    with pytest.raises(DataError, match=r"has 1,402 bytes, not the 1,400 that it had"):
        tokens.batch(np.array([99]))
    server.files["part-3-00000.npy"] = b"\0\0"
    with pytest.raises(DataError, match="answered 416; the file has no such bytes"):
        tokens.batch(np.array([99]))
    del server.files["part-3-00000.npy"]
    with pytest.raises(DataError, match="answered 404"):
        tokens.batch(np.array([99]))


def test_tokens_of_another_vocabulary(server):
    shards = shards_of(server)
    with pytest.raises(DataError, match=r"has id \d+, none of the vocabulary's 5"):
        RangedTokens(shards, LENGTH, vocabulary=5, client=client()).batch(np.arange(9))


def test_a_busy_server_is_asked_again(server, tokens):
    expected = tokens.batch(np.arange(4))
    server.status["/files/"] = (429, {"Retry-After": "1"})
    threading.Timer(0.2, server.status.clear).start()
    tokens.client = client(attempts=3)
    assert np.array_equal(tokens.batch(np.arange(4)), expected)
    server.status["/files/"] = (503, {})
    tokens.client = client()
    with pytest.raises(UnreachableError, match="the server answered 503, 5 times") as found:
        tokens.batch(np.arange(4))
    assert may_pass(found.value)


def test_an_answer_that_ends_early(server, tokens):
    server.cut["/files/"] = 7
    with pytest.raises(UnreachableError, match="5 times"):
        tokens.batch(np.arange(2))


def test_no_server():
    with pytest.raises(UnreachableError, match="ConnectionError"):
        client(attempts=2).sizes(["http://127.0.0.1:9/a"])
