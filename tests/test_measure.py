"""``zsl measure``: single measurements of single checkpoints, and what it refuses."""

import h5py
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from zsl.cli import main
from zsl.config.measurements import CrossSection, SingleStep
from zsl.measurements import gradient_opposition, single_step
from zsl.measurements.token_losses import evaluate
from zsl.training.checkpoint import load_model
from zsl.training.segment import make_trainer

PLAN = {
    "experiment": "tiny",
    "corpora": {
        "tiny": {
            "train": [{"kind": "files", "paths": ["text.txt"]}],
            "evaluation": {"sequences": 8, "sequence_length": 12},
            "tokenizer": {"kind": "bpe", "vocab_size": 20, "embedding_size": 24},
        }
    },
    "fits": {"cut": 1},
    "tables": {"table2_steps": [1]},
    "measurements": {
        "micro_batch_size": 3,
        "token_gradients": {"sequences": 2},
        "cross_section": {"sequences": 4},
    },
}


@pytest.fixture
def files(make_run, tokenizer, tokens, one_process, tmp_path):
    """Two checkpoints, evaluation tokens, training batches and the configuration."""
    run = make_run()
    trainer = make_trainer(run, tokenizer, tokens, 0, one_process)
    for step in (1, 2):
        trainer.step()
        trainer.save(tmp_path / f"step{step:08d}")
    np.save(tmp_path / "eval.npy", tokens.array[:5].astype(np.uint16))
    np.save(tmp_path / "train.npy", tokens.array[20:32].reshape(3, 4, 12))
    settings = run.model_dump(mode="json", exclude={"seed"})
    suites = {"main": {"runs": {"x": {**settings, "seed": 1}}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**PLAN, "suites": suites}))
    return tmp_path


def zsl(files, measurement, *more, checkpoint="step00000001", tokens="eval.npy"):
    """Exit code of the command."""
    given = ("--checkpoint", files / checkpoint, "--tokens", files / tokens)
    out = ("--out", files / "out.h5")
    return main(["measure", measurement, *map(str, (*given, *out, *more))])


def of_run(files):
    return (
        "--configfile",
        files / "config.yaml",
        "--run",
        "main-x",
        "--batches",
        files / "train.npy",
    )


def read(files, step=1):
    with h5py.File(files / "out.h5") as file:
        group = file[f"step{step:08d}"]
        return {name: d[()] for name, d in group.items() if isinstance(d, h5py.Dataset)}


def ids(files, name="eval.npy"):
    return torch.from_numpy(np.load(files / name).astype(np.int64))


def test_token_losses_of_a_checkpoint(files):
    assert zsl(files, "token_losses") == 0
    truth = evaluate(load_model(files / "step00000001").eval(), ids(files), 5)
    np.testing.assert_allclose(read(files)["token_losses"], truth, atol=1e-6)


def test_gradient_opposition_of_a_checkpoint(files):
    assert zsl(files, "gradient_opposition") == 0
    model = load_model(files / "step00000001").eval()
    truth = gradient_opposition.mean_D(gradient_opposition.opposition(model, ids(files), 5))
    assert read(files)["D_proxy"] == pytest.approx(truth, rel=1e-5)


@pytest.mark.parametrize("measurement", ["token_gradients", "cross_section"])
def test_along_the_difference_to_the_next_checkpoint(files, measurement):
    assert zsl(files, measurement, "--next", files / "step00000002") == 0
    got = read(files)["first_order_delta_loss"]
    before, after = (load_file(files / f"step0000000{i}/model.safetensors") for i in (1, 2))
    model = load_model(files / "step00000001").eval()
    losses = {}
    for h in (-1e-2, 1e-2):
        model.load_state_dict({n: w + h * (after[n] - w) for n, w in before.items()})
        losses[h] = evaluate(model, ids(files)[: len(got)], 5)
    slope = (losses[1e-2] - losses[-1e-2]) / 2e-2
    assert np.linalg.norm(got - slope) < 2e-3 * np.linalg.norm(slope)


def test_the_next_step_of_a_run_and_the_next_checkpoint_are_the_same_update(files, tokens):
    """Step 2 read the batch that the data order gives it: with that batch both must agree."""
    from zsl.training.order import batch_indices, data_order

    batch = tokens.batch(batch_indices(data_order(64, 0), 2, 4))
    np.save(files / "train.npy", batch[None])
    assert zsl(files, "cross_section", *of_run(files)) == 0
    by_step = read(files)
    (files / "out.h5").unlink()
    config = ("--configfile", files / "config.yaml")
    assert zsl(files, "cross_section", "--next", files / "step00000002", *config) == 0
    for name, values in read(files).items():
        np.testing.assert_allclose(by_step[name], values, rtol=1e-4, atol=1e-4, err_msg=name)


def test_single_steps_of_a_run(files, make_run):
    assert zsl(files, "single_step", *of_run(files)) == 0
    got = read(files)
    assert got["delta_loss_train"].shape == (3, 4, 11)
    model, run = load_model(files / "step00000001").eval(), make_run()
    step = single_step.stepper(run, model, SingleStep(), torch.device("cpu"))
    before = evaluate(model, ids(files), 5)
    step.step(step.load(files / "step00000001"), ids(files, "train.npy")[0])
    change = evaluate(step.model, ids(files), 5) - before
    np.testing.assert_allclose(got["delta_loss_eval"][0], change, atol=1e-5)


def test_settings_of_the_configuration_are_used(files):
    config = ("--configfile", files / "config.yaml", "--next", files / "step00000002")
    assert zsl(files, "cross_section", *config) == 0
    assert read(files)["cross_section"].shape[1:] == (4, 11)
    assert len(read(files)["even_alpha"]) == CrossSection().points


def spoil_architecture(files):
    path = files / "step00000001/config.yaml"
    values = yaml.safe_load(path.read_text())
    values["model"]["n_layers"] = 3
    path.write_text(yaml.safe_dump(values))


def truncate(files):
    path = files / "step00000001/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def not_a_number(files):
    path = files / "step00000001/model.safetensors"
    tensors = load_file(path)
    tensors["transformer.wte.weight"][3, 1] = float("nan")
    save_file(tensors, path)


def pickled(files):
    np.save(files / "eval.npy", np.array([{}], dtype=object), allow_pickle=True)


SPOILT = {
    "architecture": (spoil_architecture, "not weights of this architecture"),
    "truncated": (truncate, "damaged"),
    "nan": (not_a_number, "transformer.wte.weight is not finite"),
    "no config": (lambda f: (f / "step00000001/config.yaml").unlink(), "no such file"),
    "config": (lambda f: (f / "step00000001/config.yaml").write_text("- x"), "not the config"),
    "too long": (lambda f: np.save(f / "eval.npy", np.zeros((2, 13), int)), "context is 12"),
    "unknown token": (lambda f: np.save(f / "eval.npy", np.full((2, 9), 24)), "has 24 rows"),
    "floats": (lambda f: np.save(f / "eval.npy", np.zeros((2, 9))), "no array of integers"),
    "pickle": (pickled, "not a NumPy file of token ids"),
    "one axis": (lambda f: np.save(f / "eval.npy", np.zeros(9, int)), "shape (9,)"),
    "no tokens": (lambda f: (f / "eval.npy").unlink(), "not a NumPy file of token ids"),
    "exists": (lambda f: (f / "out.h5").write_text("mine"), "exists already"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_cannot_be_measured_is_said_and_nothing_is_written(files, capsys, name):
    spoil, message = SPOILT[name]
    spoil(files)
    before = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    assert zsl(files, "token_losses") == 1
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in files.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("measurement", "more", "message"),
    [
        ("single_step", ["--batches", "train.npy"], "name the checkpoint's run with --run"),
        ("cross_section", [], "or give --next"),
        (
            "single_step",
            ["--configfile", "config.yaml", "--run", "main-y"],
            "no such run; there are",
        ),
        ("single_step", ["--configfile", "config.yaml", "--run", "main-x"], "give --batches"),
        ("token_losses", ["--run", "main-x"], "give --configfile"),
    ],
)
def test_what_a_step_needs_is_asked_for(files, capsys, monkeypatch, measurement, more, message):
    monkeypatch.chdir(files)
    assert zsl(files, measurement, *more) == 1
    assert message in capsys.readouterr().err
    assert not (files / "out.h5").exists()
