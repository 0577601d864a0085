import h5py
import numpy as np
import pytest
import torch

from zsl.config.grids import checkpoint_name
from zsl.curves.measured import delta_loss_curve, eval_loss_curve
from zsl.errors import MeasurementError
from zsl.files import sha256
from zsl.measurements import token_losses
from zsl.measurements.checkpoints import evaluation_tokens, measure_checkpoints, of_weights
from zsl.measurements.delta_loss import measure_delta_loss
from zsl.measurements.hdf5 import write_dataset, writing
from zsl.measurements.token_losses import evaluate
from zsl.memory import MicroBatch
from zsl.models.olmo.build import build_model, empty_model
from zsl.training.checkpoint import TrainingState, save_checkpoint
from zsl.training.model import make_optimizer

CPU = torch.device("cpu")


@pytest.fixture
def checkpoints(make_run, tokenizer, tmp_path):
    """Folders of three checkpoints by step, and the models that they hold."""
    folders, models = {}, {}
    for step in (1, 2, 4):
        run = make_run(seed=step)
        models[step] = build_model(run, tokenizer)
        folders[step] = tmp_path / checkpoint_name(step)
        optimizer = make_optimizer(run, models[step])
        save_checkpoint(folders[step], models[step], optimizer, TrainingState(step, 0, 0))
    return folders, models


def brute_force(model, input_ids):
    """Losses in float64 by a written-out softmax, one prediction at a time."""
    model = model.double()
    losses = np.empty((input_ids.shape[0], input_ids.shape[1] - 1))
    with torch.no_grad():
        for i, sequence in enumerate(torch.from_numpy(input_ids)):
            for p in range(len(sequence) - 1):
                row = model(sequence[None, : p + 1]).logits[0, -1].numpy()
                losses[i, p] = np.log(np.exp(row).sum()) - row[sequence[p + 1]]
    return losses


def measure(make_run, tokenizer, folders, input_ids, out, micro_batch_size=2):
    run = make_run()
    model = empty_model(run.model, run.sequence_length, tokenizer)
    evaluated = evaluation_tokens(input_ids, model, CPU)
    each = of_weights(token_losses.measure, model.eval(), evaluated)
    micro_batch = MicroBatch(micro_batch_size)
    measure_checkpoints("token_losses", each, folders, out, micro_batch, run="main-x")


def test_out_of_memory_halves_what_is_read_at_once_and_nothing_else(
    make_run, tokenizer, tokens, checkpoints, tmp_path, monkeypatch
):
    """Also when it comes after something was written: that is removed."""
    folders, _ = checkpoints
    input_ids = tokens.batch(np.arange(4))
    measure(make_run, tokenizer, folders, input_ids, tmp_path / "all.h5", 1)
    whole, sizes = token_losses.measure, []

    def limited(model, input_ids, micro_batch_size, group):
        sizes.append(micro_batch_size)
        whole(model, input_ids, micro_batch_size, group)
        if micro_batch_size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(token_losses, "measure", limited)
    measure(make_run, tokenizer, folders, input_ids, tmp_path / "halved.h5", 4)
    assert sizes == [4, 2, 1, 1, 1]
    with h5py.File(tmp_path / "all.h5") as a, h5py.File(tmp_path / "halved.h5") as b:
        assert [*a] == [*b]
        for name in a:
            np.testing.assert_array_equal(a[name]["token_losses"], b[name]["token_losses"])


def test_token_losses_equal_float64_brute_force(make_run, tokenizer, tokens, checkpoints, tmp_path):
    folders, models = checkpoints
    input_ids = tokens.batch(np.arange(5))
    measure(make_run, tokenizer, folders, input_ids, tmp_path / "l.h5")
    with h5py.File(tmp_path / "l.h5") as file:
        assert sorted(file) == [checkpoint_name(s) for s in (1, 2, 4)]
        for step, model in models.items():
            dataset = file[f"{checkpoint_name(step)}/token_losses"]
            assert dataset.dtype == np.float32 and dataset.shape == (5, 11)
            np.testing.assert_allclose(dataset[:], brute_force(model, input_ids), rtol=2e-6)
            assert dataset.attrs["units"] == "nats"
            assert dataset.attrs["axes"] == "sequences, positions"


def test_neither_micro_batch_nor_order_of_sequences_matters(
    make_run, tokenizer, tokens, checkpoints
):
    model = checkpoints[1][4].eval()
    input_ids = torch.from_numpy(tokens.batch(np.arange(6)))
    whole = evaluate(model, input_ids, 6)
    for size in (1, 4):
        np.testing.assert_allclose(evaluate(model, input_ids, size), whole, rtol=1e-6)
    backwards = evaluate(model, input_ids.flip(0), 4)
    np.testing.assert_allclose(backwards[::-1], whole, rtol=1e-6)


def test_same_input_same_bytes(make_run, tokenizer, tokens, checkpoints, tmp_path):
    input_ids = tokens.batch(np.arange(4))
    for name in ("a.h5", "b.h5"):
        measure(make_run, tokenizer, checkpoints[0], input_ids, tmp_path / name)
    assert sha256(tmp_path / "a.h5") == sha256(tmp_path / "b.h5")


def test_loss_changes_obey_equation_6(make_run, tokenizer, tokens, checkpoints, tmp_path):
    """|dL| from the means of the losses, M and D from the file: independent parts."""
    folders, models = checkpoints
    input_ids = tokens.batch(np.arange(5))
    measure(make_run, tokenizer, folders, input_ids, tmp_path / "l.h5")
    pairs = [(1, 2), (2, 4)]
    sources = dict.fromkeys((1, 2, 4), tmp_path / "l.h5")
    measure_delta_loss(pairs, sources, tmp_path / "d.h5", run="main-x", resamples=100, seed=0)
    exact = {step: brute_force(model, input_ids) for step, model in models.items()}
    curve = delta_loss_curve("main-x", [tmp_path / "d.h5"])
    rows = curve.to_dict("records")
    assert [(row["step"], row["step_next"]) for row in rows] == pairs
    for row in rows:
        delta = exact[row["step_next"]] - exact[row["step"]]
        assert row["mean"] == pytest.approx(delta.mean(), abs=1e-6)
        assert row["M"] == pytest.approx(np.abs(delta).mean(), rel=1e-5)
        assert row["D"] == pytest.approx(1 - abs(delta.sum()) / np.abs(delta).sum(), abs=1e-5)
        change = exact[row["step_next"]].mean() - exact[row["step"]].mean()
        assert row["M"] * (1 - row["D"]) == pytest.approx(abs(change), abs=1e-6)
        assert row["abs_dL"] == pytest.approx(row["M"] * (1 - row["D"]), rel=1e-12)


def test_eval_loss_is_the_mean_over_all_predictions(
    make_run, tokenizer, tokens, checkpoints, tmp_path
):
    folders, models = checkpoints
    input_ids = tokens.batch(np.arange(5))
    measure(make_run, tokenizer, folders, input_ids, tmp_path / "l.h5")
    curve = eval_loss_curve("main-x", [tmp_path / "l.h5"])
    assert curve["step"].tolist() == [1, 2, 4]
    for loss, model in zip(curve["eval_loss"], models.values(), strict=True):
        assert loss == pytest.approx(brute_force(model, input_ids).mean(), rel=1e-6)


def test_published_interference_obeys_equation_6(published):
    import pandas as pd

    table = pd.read_csv(published / "loss_intrf_dt_t.csv")
    wide = table.pivot_table(index=["model", "step"], columns="quantity", values="value")
    assert len(wide) == 108
    np.testing.assert_allclose(wide["M"] * (1 - wide["D"]), wide["abs_dL"], atol=1e-7)


def test_bad_input_is_an_error_before_anything_is_written(
    make_run, tokenizer, tokens, checkpoints, tmp_path
):
    model = checkpoints[1][1]
    too_long = np.zeros((1, 13), dtype=np.int64)
    with pytest.raises(MeasurementError, match="13 tokens, the model's context is 12"):
        measure(make_run, tokenizer, checkpoints[0], too_long, tmp_path / "l.h5")
    with torch.no_grad():
        model.transformer.blocks[0].att_proj.weight.fill_(3e38)  # finite, but losses are not
    run = make_run()
    save_checkpoint(checkpoints[0][2], model, make_optimizer(run, model), TrainingState(2, 0, 0))
    with pytest.raises(MeasurementError, match=r"step00000002: the loss of .* is not finite"):
        measure(make_run, tokenizer, checkpoints[0], tokens.batch(np.arange(2)), tmp_path / "l.h5")
    assert not list(tmp_path.glob("*l.h5"))


def test_a_file_cut_short_is_named(tmp_path):
    with writing(tmp_path / "x.h5") as file:
        group = file.create_group(checkpoint_name(1))
        write_dataset(
            group, "token_losses", np.ones((4, 4)), units="nats", axes=("a", "b"), description="x"
        )
    whole = (tmp_path / "x.h5").read_bytes()
    (tmp_path / "x.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MeasurementError, match="not a whole HDF5 file"):
        measure_delta_loss(
            [(1, 1)], {1: tmp_path / "x.h5"}, tmp_path / "d.h5", run="r", resamples=100, seed=0
        )
    with pytest.raises(ValueError, match="2 axes, but 1 names"), writing(tmp_path / "y.h5") as file:
        write_dataset(file, "z", np.ones((2, 2)), units="1", axes=("a",), description="x")
    assert not (tmp_path / "y.h5").exists()
