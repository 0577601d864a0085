"""Fixtures shared by the tests: a tiny model whose every number can be checked by brute force."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from zsl.job import fix_threads

fix_threads(1)
settings.register_profile("zsl", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("zsl")

ROOT = Path(__file__).parents[1]


WHOLE = (
    "workflow/",
    "faults/",
    "slurm/",
    "audit/test_copied.py",
    "audit/test_mended.py",
    "audit/test_project.py",
    "audit/test_reproduce.py",
)
"""Where tests make whole experiments, or ask Snakemake often: ``make test-whole``."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that make whole experiments are marked; those that take longest come first."""
    for item in items:
        if item.path.relative_to(ROOT / "tests").as_posix().startswith(WHOLE):
            item.add_marker("whole")
    items.sort(key=lambda item: item.path.parent.name != "workflow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several processes, the tests of a folder share one, and what is made for them."""
    from xdist.scheduler import LoadFileScheduling

    class LoadFolderScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0].rpartition("/")[0]

    return LoadFolderScheduling(config, log)


@pytest.fixture(scope="session")
def published() -> Path:
    """Folder of the authors' numbers; tests that compare with them skip without it."""
    folder = os.environ.get("ZSL_PUBLISHED_DIR")
    if not folder:
        pytest.skip("ZSL_PUBLISHED_DIR is not set: no numbers of the authors to compare with")
    return Path(folder)


@pytest.fixture(params=[0o022, 0o002, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A umask that is set: of most systems, of groups that share files, of the careful."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


class ArrayTokens:
    """Sequences of random tokens in memory, as ``zsl.data.tokens.TokenFiles`` gives them."""

    def __init__(self, n_sequences: int, length: int, vocab_size: int) -> None:
        generator = np.random.default_rng(0)
        shape = (n_sequences, length)
        # Skewed, so that there is something to learn.
        self.array = np.minimum(generator.geometric(0.15, shape), vocab_size) - 1

    def __len__(self) -> int:
        return len(self.array)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        return self.array[indices].astype(np.int64)


@pytest.fixture
def make_run():
    """A tiny run; keyword arguments replace its settings."""
    from zsl.config.schema import Run

    def make(**settings: object) -> Run:
        values: dict[str, object] = {
            "corpus": "tiny",
            "model": {"d_model": 8, "n_layers": 2, "n_heads": 2},
            "sequence_length": 12,
            "batch_size": 4,
            "steps": 8,
            "optimizer": {"learning_rate": 1e-2},
            "schedule": {"warmup_steps": 3},
            "checkpoints": {"first_segment": 4},
            "seed": 1,
        }
        return Run.model_validate({**values, **settings})

    return make


@pytest.fixture
def tokenizer():
    """A vocabulary of 20 tokens, padded to 24 rows."""
    from zsl.config.sources import TrainedTokenizer

    return TrainedTokenizer(kind="bpe", vocab_size=20, embedding_size=24)


@pytest.fixture
def tokens() -> ArrayTokens:
    """Training tokens for the tiny run."""
    return ArrayTokens(64, 12, 20)


@pytest.fixture
def one_process():
    """The only process of a job, on the CPU."""
    import torch

    from zsl.training.parallel import Processes

    return Processes(rank=0, world_size=1, device=torch.device("cpu"))
