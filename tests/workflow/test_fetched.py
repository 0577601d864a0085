"""Checkpoints that others trained, through the whole workflow, on a disk that holds few of them."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hub_server import Hub, serving
from olmo_run import model_config, save_suite, write_shards, write_tokenizer
from projects import Project, lay_out

from zsl.config.load import load
from zsl.models.olmo.adapter import Olmo
from zsl.training.checkpoint import TrainingState, save_checkpoint
from zsl.training.model import make_optimizer

HERE = Path(__file__).parent
STEPS = [1 << i for i in range(7)]
REPOSITORY = "someone/checkpoints"
TARGETS = ("fig04", "fig05", "fig07", "fig08", "fig16", "table1")
KINDS = ("token_losses", "gradient_opposition", "token_gradients", "single_step", "cross_section")


def write_ours(project: Project, kept: dict[int, tuple[dict, dict]]) -> None:
    """The same checkpoints in our format, from memory: all but the last, which is repaired."""
    run = load([project.config]).runs["main-ours"]
    for step, (weights, states) in kept.items():
        model = Olmo(model_config(), init_params=False)
        model.load_state_dict(weights)
        optimizer = make_optimizer(run, model)
        for name, weight in model.named_parameters():
            optimizer.state[weight] = states[name]
        state = TrainingState(step, step * 4, step * 48)
        save_checkpoint(project.root / f"suite/ours/step{step}", model, optimizer, state)


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Hub]]:
    """The experiment, of which nothing is made yet, and the server with its checkpoints."""
    project = lay_out(
        tmp_path_factory.mktemp("fetched") / "project",
        HERE / "fetched.yaml",
        configfile="config/fetched.yaml",
        experiment="fetched",
    )
    suite = project.root / "suite"
    (suite / "theirs").mkdir(parents=True)
    shards = write_shards(suite, (9000, 5000, 11, 2000))
    write_tokenizer(suite / "tokenizer.json")
    write_ours(project, save_suite(suite / "theirs", shards, STEPS, "OLMo-tiny-step{step}"))
    with serving() as hub:
        for folder in sorted((suite / "theirs").iterdir()):
            hub.push_folder(REPOSITORY, folder.name, folder)
        project.variables.update(  # type: ignore[attr-defined]
            HF_ENDPOINT=hub.url, HF_HOME=str(suite / "hf"), HF_HUB_DISABLE_XET="1"
        )
        yield project, hub


class Watch:
    """How many fetched checkpoints lay on the disk at once, at most."""

    def __init__(self, results: Path) -> None:
        self.most, self._results, self._ends = 0, results, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ends.wait(0.02):
            there = list(self._results.glob("checkpoints/*/*/step*/model.safetensors"))
            self.most = max(self.most, len(there))


def kill(project: Project, seconds: float) -> None:
    """Start Snakemake and kill all of it."""
    process = project.start(*TARGETS)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    project.snakemake("--unlock")


def datasets(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


@pytest.fixture(scope="module")
def made(laid_out: tuple[Project, Hub]) -> tuple[Project, Hub, int]:
    """The experiment, killed twice at random and then made; and the most checkpoints at once."""
    project, hub = laid_out
    with Watch(project.results) as watch:
        for _ in range(2):
            kill(project, random.uniform(15, 60))
        project.snakemake(*TARGETS, "--rerun-incomplete")
    return project, hub, watch.most


@pytest.mark.slow
def test_the_disk_holds_no_more_than_is_allowed(made: tuple[Project, Hub, int]) -> None:
    project, hub, most = made
    assert 0 < most <= 3
    assert not list(project.results.glob("checkpoints/*/*/"))
    fetched = [n for line, n in hub.asked.items() if line.startswith("GET /cdn/")]
    assert len(fetched) == 2 * len(STEPS)
    assert max(fetched) <= 3  # once, and once more for each time it was killed


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_measurements_are_those_of_the_same_weights_in_our_format(
    made: tuple[Project, Hub, int], kind: str
) -> None:
    folder = made[0].results / "measurements" / kind
    theirs = sorted((folder / "main-theirs").glob("*.h5"))
    assert len(theirs) == len(STEPS)
    for path in theirs[:-1]:  # the last one was saved at a rate of 0: it is repaired
        found, expected = datasets(path), datasets(folder / "main-ours" / path.name)
        assert found.keys() == expected.keys()
        for name, values in found.items():
            assert np.array_equal(values, expected[name], equal_nan=True), (path.name, name)
    last = [datasets(folder / run / theirs[-1].name) for run in ("main-theirs", "main-ours")]
    assert any(not np.array_equal(a, b) for a, b in zip(*(d.values() for d in last), strict=True))


@pytest.mark.slow
def test_a_figure_made_again_fetches_nothing(made: tuple[Project, Hub, int]) -> None:
    project, hub, _ = made
    before = dict(hub.asked)
    (project.results / "figures/fig05.svg").unlink()
    before_records = project.records()
    said = project.snakemake("fig05")
    changed = {job for job, when in project.records().items() if before_records.get(job) != when}
    assert changed == {"figures/fig05"}, said
    assert project.planned("fig07", "fig05") == set()
    assert dict(hub.asked) == before


@pytest.mark.slow
def test_one_measurement_made_again_fetches_its_checkpoint_alone(
    made: tuple[Project, Hub, int],
) -> None:
    project, _, _ = made
    name = "measurements/token_losses/main-theirs/00000008-00000016"
    (project.results / f"{name}.h5").unlink()
    jobs = project.made(f"results/fetched/{name}.h5")
    assert jobs == {name, "checkpoints/main-theirs/00000008-00000016"}


@pytest.mark.slow
def test_the_audit_proves_the_numbers_down_to_the_fetched_files(
    made: tuple[Project, Hub, int],
) -> None:
    project, hub, _ = made
    project.show(TARGETS)
    project.snakemake("all")
    found = project.zsl("audit")
    assert found.returncode == 0, found.stdout
    why = project.zsl("lineage", "fig05").stdout
    assert f"{REPOSITORY} OLMo-tiny-step8@{hub.revisions[REPOSITORY]['OLMo-tiny-step8']}" in why


@pytest.mark.slow
def test_captions_say_where_checkpoints_are_from(made: tuple[Project, Hub, int]) -> None:
    caption = (made[0].results / "figures/fig07.md").read_text()
    assert f"Checkpoints of {REPOSITORY}, suite/ours" in caption
    assert "updates on batches of 4 sequences" in caption
