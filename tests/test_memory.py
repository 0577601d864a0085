"""Halving what is read at once, with a GPU whose memory is imagined, and a CPU that is not."""

from __future__ import annotations

import pytest
import torch

from zsl.files import read_json
from zsl.memory import MicroBatch, OutOfMemory


def holding(limit: int):
    """Work that runs out of memory with more than ``limit`` sequences; gives the sizes tried."""
    tried: list[int] = []

    def work(size: int) -> int:
        tried.append(size)
        if size > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB. GPU 0 has")
        return size

    return work, tried


@pytest.mark.parametrize(("limit", "tried"), [(64, [64]), (63, [64, 32]), (5, [64, 32, 16, 8, 4])])
def test_the_size_halves_until_it_fits_and_stays(limit, tried, tmp_path):
    work, sizes = holding(limit)
    micro_batch = MicroBatch(64)
    assert micro_batch.fit(work) == tried[-1] == micro_batch.size
    assert sizes == tried
    micro_batch.fit(work)
    assert sizes == [*tried, tried[-1]]


def test_the_next_attempt_begins_where_the_last_one_ended(tmp_path):
    path = tmp_path / "size.json"
    MicroBatch.kept(path, 64).fit(holding(20)[0])
    assert read_json(path) == {"micro_batch_size": 16}
    assert MicroBatch.kept(path, 64).size == 16
    assert MicroBatch.kept(path, 8).size == 8


def test_where_one_does_not_fit_there_is_a_clear_error():
    work, sizes = holding(0)
    with pytest.raises(OutOfMemory, match=r"does not hold one sequence \(CUDA out of memory\)"):
        MicroBatch(4).fit(work)
    assert sizes == [4, 2, 1]


def test_what_the_allocator_of_a_cpu_refuses_halves_the_size_too():
    def work(size: int) -> int:
        torch.empty(1 << 50 if size > 5 else 1)
        return size

    assert MicroBatch(16).fit(work) == 4


def test_other_errors_pass():
    def fails(size: int) -> None:
        raise RuntimeError("device-side assert")

    micro_batch = MicroBatch(4)
    with pytest.raises(RuntimeError, match="device-side"):
        micro_batch.fit(fails)
    assert micro_batch.size == 4
