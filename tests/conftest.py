"""Fixtures shared by the tests: a tiny model whose every number can be checked by brute force."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from once import once
from projects import Project, make_few, make_stages
from slow import is_slow

from zsl.job import fix_threads

fix_threads(1)
settings.register_profile("zsl", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("zsl")

ROOT = Path(__file__).parents[1]
NEEDING = ("audit", "faults", "workflow")
"""Folders of tests on experiments that Snakemake has made."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests; begin with a file for which an experiment is made, and end with others that
    need one, so that nobody waits for it."""
    for item in items:
        if is_slow(f"{item.path.relative_to(ROOT / 'tests').as_posix()}::{item.name}"):
            item.add_marker("slow")
    needing = dict.fromkeys(item.path for item in items if item.path.parent.name in NEEDING)
    first = next(reversed(needing), None)
    items.sort(key=lambda item: 0 if item.path == first else 1 + (item.path in needing))


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny experiment with few targets, made once in a test run; not to be changed."""
    folder = once(tmp_path_factory, "few", lambda folder: make_few(folder / "project"))
    return Project(folder / "project")


@pytest.fixture(scope="session")
def stages(few: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny experiment with every stage, made once in a test run; not to be changed."""
    folder = once(tmp_path_factory, "stages", lambda folder: make_stages(few, folder / "project"))
    return Project(folder / "project")


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
