"""The GPU's benchmark runs to its end without one, at a size that says nothing about a GPU."""

from __future__ import annotations

import shutil
from dataclasses import replace

import gpu
import pytest
import torch

CPU = torch.device("cpu")
SIZE = replace(gpu.REDUCED, vocabulary=300, positions=8)


def test_runs_are_the_papers_at_the_size_asked_for():
    run, tokenizer = gpu.run_of("main-144M", gpu.PAPER)
    assert (run.sequence_length, run.batch_size, tokenizer.rows) == (1024, 64, 50304)
    assert (run.precision.compute, run.precision.compile) == ("bfloat16", True)
    assert gpu.run_of("main-14M", SIZE)[0].model.n_layers == 1


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_training_agrees_with_both_loops():
    results, facts = gpu.training("main-14M", SIZE, CPU, rounds=1)
    assert [result.peer for result in results] == [gpu.EAGER, gpu.COMPILED]
    assert facts["sequences at once, ours"] == SIZE.batch


def test_losses_in_bfloat16_are_near_those_in_float32():
    found = gpu.formats(SIZE, CPU)
    assert all(0 < D < 1 for D in found["D"].values())
    assert found["M"]["bfloat16"] == pytest.approx(found["M"]["float32"], rel=0.1)
    assert found["M"]["float32"] != found["M"]["bfloat16"]


def test_a_resumed_run_is_the_same():
    assert gpu.resume(SIZE, CPU) == {"largest difference of a weight": 0.0}
