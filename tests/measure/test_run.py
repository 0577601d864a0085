"""``zsl measure``: single measurements of single checkpoints, and what it refuses."""

import shutil

import h5py
import numpy as np
import pytest
import torch
import yaml
from olmo.model import OLMo
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from zsl.cli import main
from zsl.config.measurements import CrossSection, SingleStep
from zsl.data.tasks import read_items, sample_items
from zsl.measurements import gradient_opposition
from zsl.measurements.delta_loss import measure_delta_loss
from zsl.measurements.downstream import encode, log_likelihoods
from zsl.measurements.next_step import stepper
from zsl.measurements.token_losses import evaluate
from zsl.models.olmo.architecture import load_model
from zsl.training.trainer import make_trainer

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
        "downstream": {"items": 6},
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


@pytest.fixture
def letters():
    """A tokenizer whose tokens are the letters a to t, one for each word."""
    made = Tokenizer(models.WordLevel({chr(97 + i): i for i in range(20)}, unk_token="a"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


def zsl(files, measurement, *more, checkpoint="step00000001", tokens="eval.npy", out="out.h5"):
    """Exit code of the command."""
    given = ["--checkpoint", files / checkpoint, "--out", files / out]
    given += ["--tokens", files / tokens] if tokens else []
    return main(["measure", measurement, *map(str, (*given, *more))])


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
    step = stepper(run, model, SingleStep(), torch.device("cpu"))
    before = evaluate(model, ids(files), 5)
    step.step(step.load(files / "step00000001"), ids(files, "train.npy")[0])
    change = evaluate(step.model, ids(files), 5) - before
    np.testing.assert_allclose(got["delta_loss_eval"][0], change, atol=1e-5)


def test_settings_of_the_configuration_are_used(files):
    config = ("--configfile", files / "config.yaml", "--next", files / "step00000002")
    assert zsl(files, "cross_section", *config) == 0
    assert read(files)["cross_section"].shape[1:] == (4, 11)
    assert len(read(files)["even_alpha"]) == CrossSection().points


def contents(path):
    """Attributes and values of everything in a file."""
    found = {}
    with h5py.File(path) as file:
        found["/"] = dict(file.attrs), None
        file.visititems(
            lambda name, item: found.update(
                {name: (dict(item.attrs), item[()] if isinstance(item, h5py.Dataset) else None)}
            )
        )
    return found


def test_changes_of_losses_are_written_as_the_workflow_does(files, capsys):
    following = files / "step00000002"
    for folder in ("step00000001", "step00000002"):
        assert zsl(files, "token_losses", checkpoint=folder, out=f"{folder}.h5") == 0
    sources = {step: files / f"step0000000{step}.h5" for step in (1, 2)}
    measure_delta_loss(
        [(1, 2)], sources, files / "workflow.h5", run="step00000001", resamples=1000, seed=0
    )
    capsys.readouterr()
    assert zsl(files, "delta_loss", "--next", following) == 0
    np.testing.assert_equal(contents(files / "out.h5"), contents(files / "workflow.h5"))
    delta = [evaluate(load_model(files / f"step0000000{i}").eval(), ids(files), 5) for i in (1, 2)]
    change = np.subtract(delta[1], delta[0], dtype=np.float64)
    D = 1 - abs(change.sum()) / np.abs(change).sum()
    numbers = f"D {D:.6g}, M {np.abs(change).mean():.6g} nats, mean {change.mean():.6g} nats"
    assert f"{numbers}, {change.size} tokens" in capsys.readouterr().out


def test_two_checkpoints_with_the_same_weights_have_no_D(files, capsys):
    shutil.copytree(files / "step00000001", files / "latest")
    (files / "latest/state.json").unlink()
    assert zsl(files, "delta_loss", "--next", files / "latest") == 0
    got = capsys.readouterr()
    assert "the checkpoints have the same weights" in got.out
    assert "D nan, M 0 nats" in got.out


def test_what_is_wrong_with_the_second_checkpoint_is_said_before_work(files, capsys, monkeypatch):
    path = files / "step00000002/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    monkeypatch.setattr(OLMo, "forward", None)
    assert zsl(files, "delta_loss", "--next", path.parent) == 1
    assert f"{path}: damaged" in capsys.readouterr().err
    assert not (files / "out.h5").exists()


@pytest.mark.parametrize("named", ["tokenizer.json", "."])
def test_questions_to_a_checkpoint(files, letters, capsys, named):
    letters.save(str(files / "tokenizer.json"))
    asked = ("--tokenizer", files / named, "--configfile", files / "config.yaml")
    tasks = ("--tasks", "sciq", "piqa")
    assert zsl(files, "downstream", *asked, *tasks, tokens=None) == 0
    with h5py.File(files / "out.h5") as file:
        group = file["step00000001"]
        assert sorted(group) == ["piqa", "sciq"]
        accuracy = float(group["sciq/accuracy"][()])
        got = group["sciq/log_likelihood"][:]
    questions = encode(sample_items(read_items("sciq"), 6, 0), letters, 12)
    truth = log_likelihoods(load_model(files / "step00000001").eval(), questions.parts, 3)
    np.testing.assert_allclose(got, questions.by_item(truth), rtol=1e-5)
    (row,) = (line.split() for line in capsys.readouterr().out.splitlines() if "sciq" in line)
    assert row[:2] == ["sciq", "acc"]
    assert float(row[2]) == pytest.approx(accuracy, abs=1e-4)
    assert row[-1] == "6"


def test_the_numbers_are_printed(files, capsys):
    assert zsl(files, "token_losses") == 0
    mean = read(files)["token_losses"].mean(dtype=np.float64)
    assert f"mean loss {mean:.6g} nats, 55 tokens" in capsys.readouterr().out
    (files / "out.h5").unlink()
    assert zsl(files, "token_gradients", "--next", files / "step00000002") == 0
    got, said = read(files), capsys.readouterr().out
    for name in ("C_g", "C_uG", "C_ug", "D_grad", "D_proxy"):
        assert f"{name} {got[name]:.6g}" in said
    (files / "out.h5").unlink()
    assert zsl(files, "single_step", *of_run(files)) == 0
    assert f"D_eval {read(files)['D_eval'].mean():.6g} (mean of 3 batches)" in (
        capsys.readouterr().out
    )


def as_written(save):
    """Loses nothing and changes no id: the same tokens in another form."""

    def change(files):
        array = np.load(files / "eval.npy").astype(np.int64)
        save(files / "eval.npy", array)

    return change


SAME_TOKENS = {
    "big-endian": as_written(lambda path, ids: np.save(path, ids.astype(">u2"))),
    "Fortran order": as_written(lambda path, ids: np.save(path, np.asfortranarray(ids))),
    "int8": as_written(lambda path, ids: np.save(path, ids.astype(np.int8))),
    "uint64": as_written(lambda path, ids: np.save(path, ids.astype(np.uint64))),
}


@pytest.mark.parametrize("name", SAME_TOKENS)
def test_ids_are_ids_in_whatever_form(files, name):
    truth = evaluate(load_model(files / "step00000001").eval(), ids(files), 5)
    SAME_TOKENS[name](files)
    assert zsl(files, "token_losses") == 0
    np.testing.assert_array_equal(read(files)["token_losses"], truth)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_in_half_precision_are_measured_in_float32(files, dtype):
    path = files / "step00000001/model.safetensors"
    rounded = {name: weight.to(dtype) for name, weight in load_file(path).items()}
    model = load_model(files / "step00000001").eval()
    model.load_state_dict({name: weight.float() for name, weight in rounded.items()})
    truth = evaluate(model, ids(files), 5)
    save_file(rounded, path)
    assert zsl(files, "token_losses") == 0
    np.testing.assert_array_equal(read(files)["token_losses"], truth)


@pytest.mark.parametrize("checkpoint", ["latest", "latest/", "../latest", "."])
def test_places_are_found_by_links_and_made(files, monkeypatch, checkpoint):
    """Step and run are those of the folder that is meant."""
    (files / "latest").symlink_to("step00000002")
    (files / "step00000002/state.json").unlink()
    monkeypatch.chdir(files / ("latest" if checkpoint.startswith(".") else ""))
    if checkpoint == "../latest":
        monkeypatch.chdir(files / "step00000001")
    out = files / "new/folder/out.h5"
    given = ["--checkpoint", checkpoint, "--tokens", str(files / "eval.npy"), "--out", str(out)]
    assert main(["measure", "token_losses", *given]) == 0
    with h5py.File(out) as file:
        assert [*file] == [file.attrs["run"]] == ["step00000002"]


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
    "no tokens": (lambda f: (f / "eval.npy").unlink(), "eval.npy: no such file"),
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
