"""A suite of checkpoints that ai2-olmo wrote, and a server that answers as the Hub does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hub_server import Hub, serving
from olmo_run import STEPS, OLMoRun, one_process, write_shards

from zsl.config.schema import Run


@dataclass
class Suite:
    """What ai2-olmo left behind."""

    folder: Path
    """``step<step>`` for each checkpoint."""
    shards: list[Path]
    batches: dict[int, torch.Tensor] = field(default_factory=dict)
    """What the update making a step read."""
    weights: dict[int, dict[str, torch.Tensor]] = field(default_factory=dict)
    """Of each checkpoint, and of the step after it."""


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """Five checkpoints; the last was saved at a rate of 0."""
    folder = tmp_path_factory.mktemp("suite")
    made = Suite(folder / "checkpoints", write_shards(folder))
    with one_process(folder):
        run = OLMoRun(folder, made.shards)
        while run.step < STEPS[-1]:
            run.train()
            made.batches[run.step] = run.batch(run.step)
            made.weights[run.step] = run.weights()
            if run.step in STEPS:
                run.save(made.folder / f"step{run.step}")
    return made


@pytest.fixture
def their_run(make_run) -> Run:
    """The run of the suite in our configuration."""
    return make_run(
        sequence_length=12, batch_size=4, steps=16, optimizer={"learning_rate": 1e-2}, loss="olmo"
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts take no time."""
    import huggingface_hub.file_download as download
    import huggingface_hub.utils._http as http

    for module in (download, http):
        clock = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None})
        monkeypatch.setattr(module, "time", clock)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick: None) -> Iterator[Hub]:
    """A server that ``huggingface_hub`` takes for the Hub, with a cache of its own."""
    from huggingface_hub import constants

    with serving() as made:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, made.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", made.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        for name in ("HF_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield made
