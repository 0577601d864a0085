import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from zsl.config.grids import Segment, checkpoint_name, segments
from zsl.errors import TrainingError
from zsl.files import sha256
from zsl.models.olmo.build import build_model
from zsl.training.checkpoint import load_checkpoint, save_checkpoint
from zsl.training.segment import train_segment
from zsl.training.states import publish_segment
from zsl.training.trainer import Trainer, make_trainer


@pytest.fixture
def train(tokenizer, tokens, one_process, tmp_path):
    """Train a segment and publish it; gives the folder of its checkpoints."""

    def run_segment(run, segment, parent=None, name="out"):
        trainer = make_trainer(run, tokenizer, tokens, 6198, one_process)
        state = tmp_path / name / "state" / segment.name
        train_segment(trainer, segment, state=state, parent=parent, name="test")
        folder = tmp_path / name / segment.name
        manifest = publish_segment(run, segment, state=state, folder=folder)
        (folder.parent / f"{segment.name}.json").write_text(json.dumps(manifest))
        (folder.parent / f"{segment.name}.csv").write_text((state / "steps.csv").read_text())
        return folder

    return run_segment


def digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256(p) for p in folder.rglob("*") if p.is_file()}


def test_a_chain_of_segments_ends_like_one_segment(make_run, train):
    """Weights, optimizer and step records do not depend on where the run is cut."""
    whole = train(make_run(), Segment(0, 8), name="whole")
    parent, lines = None, []
    for segment in segments(8, 2):
        folder = train(make_run(steps=segment.end), segment, parent, name="chain")
        parent = folder / checkpoint_name(segment.end)
        lines += folder.with_suffix(".csv").read_text().splitlines()[1:]
    assert digests(parent) == digests(whole / checkpoint_name(8))
    assert lines == whole.with_suffix(".csv").read_text().splitlines()[1:]
    kept = sorted(p.name for p in whole.iterdir())
    assert kept == [checkpoint_name(s) for s in (0, 1, 2, 4, 8)]


def test_a_run_made_longer_ends_like_one_that_was_as_long_at_once(make_run, train):
    """It goes on from where the shorter one ended, in the middle of a segment."""
    whole = train(make_run(), Segment(0, 8), name="whole")
    before = train(make_run(steps=6), *segments(6, 8), name="longer")
    *kept, last = segments(8, 8, [6])
    assert [segment.name for segment in kept] == [before.name]
    after = train(make_run(), last, before / checkpoint_name(6), name="longer")
    assert digests(after) == {
        name: digest for name, digest in digests(whole).items() if name.startswith("step00000008/")
    }


@pytest.mark.parametrize("dies_at", [1, 3, 4, 7])
def test_an_interrupted_segment_ends_with_the_same_bytes(make_run, train, monkeypatch, dies_at):
    undisturbed = train(make_run(), Segment(0, 8), name="undisturbed")
    step = Trainer.step

    def dying(self):
        if self.state.step == dies_at:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "step", dying)
    with pytest.raises(KeyboardInterrupt):
        train(make_run(), Segment(0, 8), name="disturbed")
    begun = []

    def counted(self):
        begun.append(self.state.step)
        return step(self)

    monkeypatch.setattr(Trainer, "step", counted)
    resumed = train(make_run(), Segment(0, 8), name="disturbed")
    assert begun == list(range(max(kept for kept in (0, 1, 2, 4) if kept <= dies_at), 8))
    assert digests(resumed) == digests(undisturbed)
    assert resumed.with_suffix(".csv").read_text() == undisturbed.with_suffix(".csv").read_text()


def test_every_step_is_recorded(make_run, train):
    """Step, loss before the update, rate used (A.1), norm before clipping."""
    folder = train(make_run(), Segment(0, 8))
    table = pd.read_csv(folder.with_suffix(".csv"))
    assert list(table.columns) == ["step", "train_loss", "learning_rate", "grad_norm"]
    assert table["step"].tolist() == list(range(1, 9))
    rates = [1e-2 * (0.1 + 0.9 * min(step, 3) / 3) for step in range(1, 9)]
    assert table["learning_rate"].tolist() == pytest.approx(rates)
    assert (table["grad_norm"] > 0).all()
    assert table["train_loss"].iloc[-1] < table["train_loss"].iloc[0]


def test_a_death_while_saving_repeats_no_record(make_run, train, monkeypatch, tmp_path):
    """Records are on the disk before the checkpoint: those of steps made again are dropped."""
    undisturbed = train(make_run(), Segment(0, 8), name="undisturbed")
    save = Trainer.save

    def dying(self, folder):
        if self.state.step == 4:
            raise KeyboardInterrupt
        save(self, folder)

    monkeypatch.setattr(Trainer, "save", dying)
    with pytest.raises(KeyboardInterrupt):
        train(make_run(), Segment(0, 8), name="disturbed")
    state = tmp_path / "disturbed" / "state" / "00000000-00000008"
    assert (state / "steps.csv").read_text().splitlines()[-1].startswith("4,")
    monkeypatch.setattr(Trainer, "save", save)
    resumed = train(make_run(), Segment(0, 8), name="disturbed")
    assert resumed.with_suffix(".csv").read_text() == undisturbed.with_suffix(".csv").read_text()
    assert digests(resumed) == digests(undisturbed)


def test_bytes_do_not_depend_on_the_process_random_state(make_run, train):
    torch.manual_seed(1)
    first = train(make_run(), Segment(0, 8), name="first")
    torch.manual_seed(2)
    second = train(make_run(), Segment(0, 8), name="second")
    assert digests(first) == digests(second)


def test_a_signal_saves_the_state_it_arrives_in(make_run, train, monkeypatch, tmp_path):
    import os
    import signal

    undisturbed = train(make_run(), Segment(0, 8), name="undisturbed")
    step = Trainer.step

    def signalled(self):
        if self.state.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self)

    monkeypatch.setattr(Trainer, "step", signalled)
    with pytest.raises(SystemExit) as stop:
        train(make_run(), Segment(0, 8), name="stopped")
    assert stop.value.code == 143
    state = tmp_path / "stopped" / "state" / "00000000-00000008"
    assert [p.name for p in (state / "resume").iterdir()] == [checkpoint_name(6)]
    monkeypatch.setattr(Trainer, "step", step)
    resumed = train(make_run(), Segment(0, 8), name="stopped")
    assert digests(resumed) == digests(undisturbed)


def test_a_loss_that_is_not_finite_stops_with_step_batch_and_checkpoint(
    make_run, train, monkeypatch, tmp_path
):
    step = Trainer.step

    def broken(self):
        loss, norm, rate = step(self)
        return (loss * float("nan") if self.state.step == 6 else loss), norm, rate

    monkeypatch.setattr(Trainer, "step", broken)
    with pytest.raises(TrainingError, match=r"step 6: the loss is nan.*step00000004"):
        train(make_run(), Segment(0, 8), name="nan")
    state = tmp_path / "nan" / "state" / "00000000-00000008"
    failure = json.loads((state / "failure.json").read_text())
    order = make_order(64)
    assert failure["step"] == 6 and failure["sequences"] == order[20:24]
    kept = sorted(p.name for p in (state / "checkpoints").iterdir())
    assert kept == [checkpoint_name(s) for s in (0, 1, 2, 4)]


def make_order(n):
    from zsl.training.order import data_order

    return [int(i) for i in data_order(n, 6198)]


def test_checkpoint_restores_weights_optimizer_and_random_state(
    make_run, train, tokenizer, tokens, one_process, tmp_path
):
    folder = train(make_run(), Segment(0, 8)) / checkpoint_name(4)
    trainer = make_trainer(make_run(), tokenizer, tokens, 6198, one_process)
    trainer.load(folder)
    assert (trainer.state.step, trainer.state.sequences, trainer.state.tokens) == (4, 16, 192)
    torch.manual_seed(99)
    random_state = torch.get_rng_state()
    save_checkpoint(tmp_path / "a", trainer.model, trainer.optimizer, trainer.state)
    torch.manual_seed(1)
    load_checkpoint(tmp_path / "a", trainer.model, trainer.optimizer)
    assert torch.equal(torch.get_rng_state(), random_state)
    save_checkpoint(tmp_path / "b", trainer.model, trainer.optimizer, trainer.state)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_who_may_read_a_segment_the_umask_says(umask, make_run, train, tmp_path):
    folder = train(make_run(), Segment(0, 8))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len([path for path in files if path.is_relative_to(folder)]) == 20
    assert {path.stat().st_mode & 0o777 for path in files} == {0o666 & ~umask}
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o777 & ~umask}


def test_damaged_and_foreign_checkpoints_are_named(make_run, train, tokenizer):
    folder = train(make_run(), Segment(0, 8)) / checkpoint_name(4)
    wider = build_model(make_run(model={"d_model": 16, "n_layers": 2, "n_heads": 2}), tokenizer)
    with pytest.raises(TrainingError, match=r"model.safetensors.*not weights of this arch"):
        wider.load(folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(TrainingError, match=r"model.safetensors: damaged"):
        build_model(make_run(), tokenizer).load(folder)
    path.unlink()
    with pytest.raises(TrainingError, match=r"model.safetensors: no such file"):
        build_model(make_run(), tokenizer).load(folder)


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_two_processes_never_train_one_segment(make_run, train, tmp_path):
    lock = tmp_path / "held" / "state" / "00000000-00000008" / "lock"
    lock.parent.mkdir(parents=True)
    command = [sys.executable, "-c", HOLD, str(lock)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TrainingError, match="is training this segment"):
            train(make_run(), Segment(0, 8), name="held")
        holder.communicate("")
    train(make_run(), Segment(0, 8), name="held")


def test_a_batch_must_be_shared_equally(make_run, tokenizer, tokens):
    from zsl.training.parallel import Processes

    with pytest.raises(TrainingError, match="cannot be shared by 3 processes"):
        make_trainer(make_run(), tokenizer, tokens, 0, Processes(0, 3, torch.device("cpu")))


class Imagined:
    """A GPU whose memory holds ``limit`` sequences: passes over more of them fail."""

    def __init__(self, monkeypatch, limit):
        from zsl.training import step, trainer

        self.sizes = []
        backward = step.backward_alone

        def limited(module, input_ids, run, group):
            self.sizes.append(len(input_ids))
            loss = backward(module, input_ids, run, group)
            if len(input_ids) > limit:  # late: gradients are there already
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
            return loss

        monkeypatch.setattr(step, "backward_alone", limited)
        monkeypatch.setattr(trainer, "backward_alone", limited)


def test_out_of_memory_halves_what_is_read_at_once_and_nothing_else(
    make_run, train, monkeypatch, tmp_path
):
    """The run goes on, and after an interruption begins with what was found to fit."""
    undisturbed = train(make_run(), Segment(0, 8), name="undisturbed")
    gpu = Imagined(monkeypatch, limit=1)
    smaller = train(make_run(), Segment(0, 8), name="smaller")
    assert gpu.sizes == [4, 2] + [1] * 4 * 8
    state = tmp_path / "smaller" / "state" / "00000000-00000008"
    assert json.loads((state / "micro_batch_size.json").read_text()) == {"micro_batch_size": 1}
    one, two = (pd.read_csv(f.with_suffix(".csv")) for f in (undisturbed, smaller))
    pd.testing.assert_frame_equal(one, two, rtol=1e-4)


def test_several_processes_agree_on_a_size_before_they_begin(
    make_run, tokenizer, tokens, one_process, monkeypatch, tmp_path
):
    from zsl.training.parallel import Processes

    trainer = make_trainer(make_run(), tokenizer, tokens, 6198, one_process)
    gpu = Imagined(monkeypatch, limit=2)
    trainer.group = Processes(0, 2, torch.device("cpu"))
    monkeypatch.setattr(Processes, "least", lambda self, size: min(size, 1))
    trainer.settle_micro_batch(tmp_path)
    assert gpu.sizes == [4, 2]
    assert trainer.micro_batch.size == 1, "what fits in the other process"
    assert all(p.grad is None for p in trainer.model.parameters())


def test_out_of_memory_in_the_update_ends_the_attempt(
    make_run, train, tokenizer, tokens, one_process, monkeypatch, tmp_path
):
    """Some weights may have been changed: what was saved counts, and the next attempt goes on."""
    step = torch.optim.AdamW.step

    def fails(self, closure=None):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    monkeypatch.setattr(torch.optim.AdamW, "step", fails)
    with pytest.raises(TrainingError, match=r"step 1: out of memory.*goes on with 2 sequences"):
        train(make_run(), Segment(0, 8), name="update")
    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    train(make_run(), Segment(0, 8), name="update")
