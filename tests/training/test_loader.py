"""Reading ahead gives what reading in turn gives, wherever a run begins."""

import numpy as np
import pytest
import torch

from zsl.training.loader import AHEAD, Loader
from zsl.training.order import batch_indices, run_order
from zsl.training.parallel import Processes


@pytest.mark.parametrize("sampling", ["shuffle", "offsets"])
@pytest.mark.parametrize("start", [1, 3])
@pytest.mark.parametrize("rank", [0, 1])
def test_batches_read_ahead_are_those_of_the_order(make_run, tokens, sampling, start, rank):
    run = make_run(sampling=sampling, steps=16)
    order = run_order(run, len(tokens), 6198)
    group = Processes(rank, 2, torch.device("cpu"))
    loader = Loader(run, tokens, order, group, ahead=True)
    for step in range(start, run.steps + 1):
        mine = batch_indices(order, step, 4)[2 * rank : 2 * rank + 2]
        np.testing.assert_array_equal(loader.batch(step).numpy(), tokens.batch(mine))


def test_what_was_read_ahead_is_read_once_and_never_behind_the_last_step(make_run, tokens):
    read: list[int] = []

    class Counted:
        def __len__(self) -> int:
            return len(tokens)

        def batch(self, indices: np.ndarray) -> np.ndarray:
            read.append(int(indices[0]))
            return tokens.batch(indices)

    run = make_run(steps=AHEAD + 3)
    order = run_order(run, len(tokens), 6198)
    group = Processes(0, 1, torch.device("cpu"))
    loader = Loader(run, Counted(), order, group, ahead=True)
    first = loader.batch(1)
    torch.testing.assert_close(loader.batch(1), first)  # asked for again, read again
    for step in range(2, run.steps + 1):
        loader.batch(step)
    expected = [int(batch_indices(order, step, 4)[0]) for step in range(1, run.steps + 1)]
    assert sorted(read) == sorted([*expected, expected[0]])
