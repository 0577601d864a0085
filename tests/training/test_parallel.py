"""The same training in one process and in several, which torchrun starts on the CPU (gloo)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import TCPStore

from zsl.config.grids import checkpoint_name
from zsl.config.schema import Run
from zsl.data.manifest import Manifest, TokenFile, write_manifest
from zsl.errors import TrainingError
from zsl.files import read_json, sha256
from zsl.models.olmo.build import build_model
from zsl.training.checkpoint import TrainingState, save_checkpoint
from zsl.training.launch import launch, torchrun
from zsl.training.model import make_optimizer, make_passes
from zsl.training.step import train_step, wrap
from zsl.training.task import FACTS, TrainingTask

STEPS = 50
BATCH = 4
WEIGHTS = {"name": "token_weights", "clip": 0.9, "focal": 0.5, "top": 0.6}


@pytest.fixture
def run_in_two(make_run, tokenizer, tokens, tmp_path):
    """Fifty steps of two processes in float64; gives batches, losses and checkpoint."""

    def run_processes(run: Run, optimizer: str) -> tuple[np.ndarray, torch.Tensor, Path]:
        shape = (STEPS, BATCH)
        draws = np.random.default_rng(1).integers(len(tokens), size=shape)
        batches = np.stack([tokens.batch(indices) for indices in draws])
        np.save(tmp_path / "batches.npy", batches)
        (tmp_path / "run.json").write_text(run.model_dump_json())
        (tmp_path / "tokenizer.json").write_text(tokenizer.model_dump_json())
        script = Path(__file__).with_name("two_processes.py")
        command = [*torchrun(2, 1), str(script), str(tmp_path), optimizer]
        subprocess.run(command, check=True)
        losses = load_file(tmp_path / "losses.safetensors")["losses"]
        return batches, losses, tmp_path / "checkpoint"

    return run_processes


def in_one(run, tokenizer, batches, one_process, folder):
    """The losses of the same steps in one process, and its checkpoint."""
    model = build_model(run, tokenizer).double()
    torch.manual_seed(run.seed)
    optimizer = make_optimizer(run, model)
    module, passes = wrap(model, run, one_process), make_passes(run, model, optimizer)
    losses = [
        train_step(
            module,
            optimizer,
            torch.from_numpy(batch),
            run,
            one_process,
            learning_rate=1e-2,
            passes=passes,
        ).loss
        for batch in batches
    ]
    save_checkpoint(folder, model, optimizer, TrainingState(0, 0, 0))
    return torch.stack(losses)


@pytest.mark.parametrize(
    ("optimizer", "settings", "intervention"),
    [
        ("whole", {"learning_rate": 1e-2}, None),
        ("shared", {"learning_rate": 1e-2}, None),
        ("shared", {"name": "muon", "learning_rate": 1e-2}, None),
        ("whole", {"learning_rate": 1e-2}, WEIGHTS),
    ],
    ids=["adamw", "adamw shared out", "muon shared out", "token weights"],
)
def test_two_processes_make_the_steps_of_one(
    run_in_two, make_run, tokenizer, one_process, tmp_path, optimizer, settings, intervention
):
    """Fifty losses to 1e-10 in float64, and the same whole checkpoint at the end.

    Accumulated over micro-batches, with the optimizer's state at both or shared out.
    """
    precision = {"micro_batch_size": 1}
    run = make_run(precision=precision, optimizer=settings, intervention=intervention)
    batches, losses, checkpoint = run_in_two(run, optimizer)
    read = [load_file(tmp_path / f"read{rank}.safetensors")["read"] for rank in (0, 1)]
    np.testing.assert_array_equal(torch.cat(read, dim=1), batches)

    alone = in_one(run, tokenizer, batches, one_process, tmp_path / "one")

    assert alone[-1] < alone[0]
    torch.testing.assert_close(losses, alone, rtol=1e-10, atol=0)
    for name in ("model.safetensors", "optim.safetensors"):
        two, one = load_file(checkpoint / name), load_file(tmp_path / "one" / name)
        assert two.keys() == one.keys()
        for key in one:
            torch.testing.assert_close(two[key], one[key], rtol=1e-7, atol=1e-11, msg=key)


@pytest.fixture
def task(make_run, tokenizer, tokens, tmp_path):
    """Training from token files, as the rule ``train`` asks for it."""
    folder = tmp_path / "tokens"
    folder.mkdir()
    tokens.array.astype("<u2").tofile(folder / "train.bin")
    file = TokenFile("train.bin", tokens.array.size, sha256(folder / "train.bin"), "invented")
    manifest = Manifest(
        dtype="uint16",
        vocab_size=20,
        eos_token_id=0,
        sequences=0,
        sequence_length=12,
        train=(file,),
        eval=(),
        documents=1,
        sources=(),
        tokenizer_sha256="",
        declaration="",
    )
    write_manifest(tmp_path / "manifest.json", manifest)

    def make(name: str, steps: int = STEPS, batch_size: int = BATCH) -> TrainingTask:
        run = make_run(steps=steps, batch_size=batch_size, sampling="offsets")
        return TrainingTask(
            name="test",
            run=run.model_dump(mode="json"),
            tokenizer=tokenizer.model_dump(mode="json"),
            manifest=str(tmp_path / "manifest.json"),
            tokens=str(folder),
            data_seed=6198,
            segment=f"00000000-{steps:08d}",
            parent=None,
            state=str(tmp_path / name),
            threads=1,
        )

    return make


def losses_of(task: TrainingTask) -> np.ndarray:
    table = pd.read_csv(Path(task.state) / "steps.csv")
    assert table["step"].tolist() == list(range(1, len(table) + 1))
    return table["train_loss"].to_numpy()


def test_the_rule_trains_in_two_processes_as_in_one(task, tmp_path):
    """The order of the data exactly, losses to 1e-4 in float32 (Eq. 1)."""
    one, two = task("one"), task("two")
    launch(one, tmp_path / "one.log")
    launch(two, tmp_path / "two.log", processes=2)
    np.testing.assert_allclose(losses_of(two), losses_of(one), rtol=1e-4)
    assert len(losses_of(one)) == STEPS
    alone, together = (read_json(Path(t.state) / FACTS) for t in (one, two))
    assert alone == {**together, "processes": 1, "micro_batch_size": 4}
    assert (together["processes"], together["micro_batch_size"]) == (2, 2)
    assert "50 of 50 steps" in (tmp_path / "two.log").read_text()
    kept = [sorted(p.name for p in Path(t.state, "checkpoints").iterdir()) for t in (one, two)]
    assert kept[0] == kept[1]


LAUNCH = """
import sys
from pathlib import Path
from zsl.files import read_json
from zsl.training.launch import launch
from zsl.training.task import TrainingTask
folder = Path(sys.argv[1])
launch(TrainingTask(**read_json(folder / "given.json")), folder / "two.log", processes=2)
"""


@pytest.mark.parametrize("first", [1, 2])
def test_another_number_of_processes_goes_on(task, tmp_path, first):
    """Half of the steps by one and half by two, in either order: the losses of one alone."""
    alone, before, after = task("alone"), task("before"), task("after")
    launch(alone, tmp_path / "alone.log")
    half = replace(before, segment="00000000-00000032")
    launch(half, tmp_path / "before.log", processes=first)
    parent = Path(half.state) / "checkpoints" / checkpoint_name(32)
    rest = replace(after, segment=f"00000032-{STEPS:08d}", parent=str(parent))
    launch(rest, tmp_path / "after.log", processes=3 - first)
    losses = [pd.read_csv(Path(t.state) / "steps.csv")["train_loss"] for t in (half, rest)]
    np.testing.assert_allclose(np.concatenate(losses), losses_of(alone), rtol=1e-4)


def launch_shared_out(task: TrainingTask, log: Path) -> None:
    """Train in two processes, each of which keeps the optimizer's state of some weights."""
    Path(task.state).mkdir()
    task.write(Path(task.state) / "task.json")
    script = Path(__file__).with_name("shared_out.py")
    arguments = [str(Path(task.state) / "task.json"), str(log)]
    subprocess.run([*torchrun(2, 1), str(script), *arguments], check=True)


@pytest.mark.parametrize("trains", [(launch_shared_out, launch), (launch, launch_shared_out)])
def test_checkpoints_hold_the_whole_state_where_it_is_shared_out(task, tmp_path, trains):
    alone, before, after = task("alone"), task("before"), task("after")
    launch(alone, tmp_path / "alone.log")
    half = replace(before, segment="00000000-00000032")
    trains[0](half, tmp_path / "before.log")
    parent = Path(half.state) / "checkpoints" / checkpoint_name(32)
    rest = replace(after, segment=f"00000032-{STEPS:08d}", parent=str(parent))
    trains[1](rest, tmp_path / "after.log")
    losses = [pd.read_csv(Path(t.state) / "steps.csv")["train_loss"] for t in (half, rest)]
    np.testing.assert_allclose(np.concatenate(losses), losses_of(alone), rtol=1e-4)


def test_a_signal_to_the_job_saves_the_state_of_all_processes(task, tmp_path):
    stopped = task("stopped", steps=1024)
    stopped.write(tmp_path / "given.json")
    kept = Path(stopped.state) / "checkpoints" / checkpoint_name(64)
    with subprocess.Popen([sys.executable, "-c", LAUNCH, str(tmp_path)]) as job:
        while not kept.exists():
            assert job.poll() is None
            time.sleep(0.01)
        job.send_signal(signal.SIGTERM)
        assert job.wait() == 143
    (saved,) = (Path(stopped.state) / "resume").iterdir()
    step = read_json(saved / "state.json")["step"]
    assert 64 < step < 1024
    before = losses_of(stopped)
    assert len(before) == step
    launch(stopped, tmp_path / "two.log")
    np.testing.assert_array_equal(losses_of(stopped)[:step], before)
    assert len(losses_of(stopped)) == 1024


def test_what_stopped_a_process_is_in_the_log(task, tmp_path):
    broken = task("broken", batch_size=3)
    with pytest.raises(TrainingError, match=r"2 processes ended with code 1.*two\.log"):
        launch(broken, tmp_path / "two.log", processes=2)
    assert "batch_size = 3: cannot be shared by 2 processes" in (tmp_path / "two.log").read_text()


def test_nodes_need_a_command_that_starts_something_on_each(task, tmp_path):
    with pytest.raises(TrainingError, match="resource mpi of rule train"):
        launch(task("nodes"), tmp_path / "log", processes=4, nodes=2)


def test_two_nodes_meet(task, tmp_path):
    """A command that starts another one twice stands for two nodes."""
    starter = tmp_path / "on_each_node"
    starter.write_text('#!/bin/sh\n"$@" & first=$!\n"$@" && wait $first\n')
    starter.chmod(0o755)
    one, two = task("one"), task("two")
    launch(one, tmp_path / "one.log")
    launch(two, tmp_path / "two.log", nodes=2, mpi=str(starter))
    np.testing.assert_allclose(losses_of(two), losses_of(one), rtol=1e-4)
    assert read_json(Path(two.state) / FACTS)["processes"] == 2


def test_processes_end_just_after_a_barrier():
    """Each time it may be that gloo still holds the barrier's tensor; without care for that, two
    processes stop for ever within the first few times."""
    meeting = [TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False) for _ in range(40)]
    ports = [str(store.port) for store in meeting]
    script = Path(__file__).with_name("many_groups.py")
    where = {**os.environ, "MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2"}
    where["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # the ports are open already
    both = [
        subprocess.Popen([sys.executable, script, *ports], env={**where, "RANK": str(rank)})
        for rank in (0, 1)
    ]
    try:
        assert [process.wait(timeout=3600) for process in both] == [0, 0]
    finally:
        for process in both:
            process.kill()
