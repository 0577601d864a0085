"""Downstream accuracy, against one prediction at a time in float64 and counting by hand."""

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from zsl.config.grids import checkpoint_name
from zsl.config.load import resolve
from zsl.curves.measured import CURVES
from zsl.data.tasks import Item
from zsl.errors import ConfigError, MeasurementError
from zsl.files import sha256
from zsl.measurements.checkpoints import measure_checkpoints, of_weights
from zsl.measurements.downstream import accuracy, encode, log_likelihoods, measure, spans
from zsl.memory import MicroBatch
from zsl.models.olmo.build import build_model, empty_model
from zsl.training.checkpoint import TrainingState, save_checkpoint
from zsl.training.model import make_optimizer

LENGTH = 12
"""Context of the tiny model."""


@pytest.fixture
def letters():
    """A tokenizer whose tokens are the letters a to t, one for each word."""
    made = Tokenizer(models.WordLevel({chr(97 + i): i for i in range(20)}, unk_token="a"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


def words(rng, n):
    return " ".join(chr(97 + i) for i in rng.integers(0, 20, n))


def made_items(n, seed=0):
    """Items with two to four choices of 1 to 30 tokens, after contexts of 1 to 20."""
    rng = np.random.default_rng(seed)
    items = []
    for number in range(n):
        choices = rng.integers(2, 5)
        longest = 30 if number % 3 == 0 else 5
        texts = tuple(" " + words(rng, rng.integers(1, longest + 1)) for _ in range(choices))
        context = words(rng, rng.integers(1, 21))
        items.append(Item(10 * number, context, texts, int(rng.integers(choices))))
    return items


def context_of(a, continuation, before, length):
    """Where what the model sees of the tokens before token ``a`` of a continuation begins.

    A continuation that fits is one sequence, a longer one is cut at multiples of half the
    length, and each sequence begins so that its last token is predicted from ``length`` tokens.
    """
    if continuation <= length:
        end = continuation
    else:
        half = length // 2
        end = min((a // half + 1) * half, continuation)
    return max(0, before + end - 1 - length)


def brute_force(model, item, length=LENGTH):
    """Log-likelihood of every choice in float64, and whether the context was cut."""
    sums, cut = [], False
    context = [ord(word) - 97 for word in item.context.split()]
    for text in item.continuations:
        continuation = [ord(word) - 97 for word in text.split()]
        whole, total = context + continuation, 0.0
        for a in range(len(continuation)):
            first = context_of(a, len(continuation), len(context), length)
            cut = cut or first > 0
            seen = torch.tensor([whole[first : len(context) + a]])
            row = model(seen).logits[0, -1].detach().numpy()
            total += row[continuation[a]] - np.log(np.exp(row).sum())
        sums.append(total)
    return sums, cut


@pytest.fixture
def model(make_run, tokenizer):
    return build_model(make_run(), tokenizer).eval()


def test_log_likelihoods_equal_float64_brute_force(model, letters, in_float64):
    items = made_items(12)
    questions = encode(items, letters, LENGTH)
    measured = questions.by_item(log_likelihoods(model, questions.parts, 5))
    in_float64(model)
    for item, row, cut in zip(items, measured, questions.cut, strict=True):
        truth, truncated = brute_force(model, item)
        np.testing.assert_allclose(row[: len(truth)], truth, rtol=3e-6)
        assert np.isnan(row[len(truth) :]).all() and cut == truncated
    assert 0 < questions.cut.sum() < len(items)


def test_a_context_is_cut_when_the_last_prediction_needs_more_than_the_model_reads(letters):
    """The last token is only predicted: one more than the model reads fits."""
    sizes = [(9, 3), (10, 3), (11, 3), (1, 12), (2, 12), (1, 13)]
    rng = np.random.default_rng(0)
    items = [Item(0, words(rng, n), (" a", " " + words(rng, m)), 0) for n, m in sizes]
    expected = [n + m > LENGTH + 1 for n, m in sizes]
    assert encode(items, letters, LENGTH).cut.tolist() == expected
    assert expected.count(True) == expected.count(False) == 3


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_micro_batch_does_not_matter(model, letters, size):
    parts = encode(made_items(15), letters, LENGTH).parts
    whole = log_likelihoods(model, parts, 7)
    np.testing.assert_allclose(log_likelihoods(model, parts, size), whole, rtol=2e-6)


def test_neither_order_nor_company_of_items_matters(model, letters):
    items = made_items(15)
    order = np.random.default_rng(1).permutation(15)[:9]
    all_of_them = encode(items, letters, LENGTH)
    some = encode([items[i] for i in order], letters, LENGTH)
    whole = all_of_them.by_item(log_likelihoods(model, all_of_them.parts, 4))
    part = some.by_item(log_likelihoods(model, some.parts, 4))
    np.testing.assert_allclose(part, whole[order][:, : part.shape[1]], rtol=2e-6)
    assert (some.cut == all_of_them.cut[order]).all()


@given(st.integers(1, 60), st.integers(1, 25))
def test_every_token_is_judged_once_and_after_something(tokens, length):
    covered = [at for first, end in spans(tokens, length) for at in range(first, end)]
    assert covered == list(range(tokens))
    sizes = [end - first for first, end in spans(tokens, length)]
    assert max(sizes) <= length and (tokens > length or len(sizes) == 1)


@given(st.integers(0, 1000), st.integers(2, 20))
def test_sequences_fit_the_model(seed, length):
    letters = Tokenizer(models.WordLevel({chr(97 + i): i for i in range(20)}, unk_token="a"))
    letters.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for part in encode(made_items(4, seed), letters, length).parts:
        assert 1 <= part.judged < len(part.tokens) <= length + 1


def test_accuracy_counts_by_hand():
    rng = np.random.default_rng(0)
    scores = rng.integers(-4, 0, (40, 4)).astype(float)  # with ties
    scores[::3, 3] = np.nan
    labels = rng.integers(0, 3, 40)
    correct, chances = [], []
    for row, label in zip(scores, labels, strict=True):
        choices = [score for score in row if score == score]
        correct.append(float(choices.index(max(choices)) == label))
        chances.append(1 / len(choices))
    found = accuracy(scores, labels)
    assert found.value == pytest.approx(np.mean(correct))
    assert found.chance == pytest.approx(np.mean(chances))
    assert found.se == pytest.approx(np.std(correct, ddof=1) / np.sqrt(40), rel=1e-12)


@pytest.fixture
def folders(make_run, tokenizer, tmp_path):
    """Checkpoints of two steps, the second of a model that is not finite where ``broken``."""
    made = {}
    for step in (1, 4):
        run = make_run(seed=step)
        model = build_model(run, tokenizer)
        made[step] = tmp_path / checkpoint_name(step)
        save_checkpoint(made[step], model, make_optimizer(run, model), TrainingState(step, 0, 0))
    return made


def write(make_run, tokenizer, letters, folders, out):
    run = make_run()
    empty = empty_model(run.model, run.sequence_length, tokenizer).eval()
    tasks = {"piqa": encode(made_items(15), letters, LENGTH)}
    tasks["sciq"] = encode(made_items(15), letters, LENGTH)  # the same, by another metric
    each = of_weights(measure, empty, tasks)
    measure_checkpoints("downstream", each, folders, out, MicroBatch(4), run="m")


def test_files_hold_what_accuracy_is_made_of(make_run, tokenizer, letters, folders, tmp_path):
    items = made_items(15)
    write(make_run, tokenizer, letters, folders, tmp_path / "a.h5")
    differ = False
    with h5py.File(tmp_path / "a.h5") as file:
        for step in folders:
            for task, metric in (("piqa", "len_norm"), ("sciq", "acc")):
                group = file[checkpoint_name(step)][task]
                correct = 0
                for number, item in enumerate(items):
                    scores = [
                        group["log_likelihood"][number, choice]
                        / (len(text.strip()) if metric == "len_norm" else 1)
                        for choice, text in enumerate(item.continuations)
                    ]
                    correct += int(np.argmax(scores)) == item.label
                assert group["accuracy"][()] == pytest.approx(correct / len(items))
                assert group.attrs["metric"] == metric
                assert list(group["item"]) == [item.number for item in items]
                assert group["log_likelihood"].attrs["units"] == "nats"
            both = file[checkpoint_name(step)]
            assert (both["piqa/log_likelihood"][:, :2] == both["sciq/log_likelihood"][:, :2]).all()
            differ |= both["piqa/accuracy"][()] != both["sciq/accuracy"][()]
    assert differ


def test_the_curve_is_the_file_and_bytes_are_fixed(make_run, tokenizer, letters, folders, tmp_path):
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path in paths:
        write(make_run, tokenizer, letters, folders, path)
    assert sha256(paths[0]) == sha256(paths[1])
    curve = CURVES["downstream"]("m", paths[:1])
    assert list(zip(curve["step"], curve["task"], strict=True)) == [
        *((1, "piqa"), (1, "sciq"), (4, "piqa"), (4, "sciq"))
    ]
    with h5py.File(paths[0]) as file:
        for row in curve.to_dict("records"):
            group = file[checkpoint_name(row["step"])][row["task"]]
            assert row["accuracy"] == group["accuracy"][()] and row["chance"] == group["chance"][()]
            assert row["se"] == group["accuracy_se"][()] and row["items"] == 15
            assert row["cut"] == np.count_nonzero(group["cut"][:]) > 0


def test_what_cannot_be_judged_is_an_error(make_run, tokenizer, letters, folders, model, tmp_path):
    with torch.no_grad():
        model.transformer.blocks[0].att_proj.weight.fill_(3e38)
    run = make_run()
    save_checkpoint(folders[4], model, make_optimizer(run, model), TrainingState(4, 0, 0))
    with pytest.raises(
        MeasurementError, match=r"step00000004: the log-likelihood of .* not finite"
    ):
        write(make_run, tokenizer, letters, folders, tmp_path / "a.h5")
    assert not list(tmp_path.glob("*a.h5"))
    with pytest.raises(MeasurementError, match=r"item 7: the tokenizer makes no token .*'  '"):
        encode([Item(7, "a b", (" c", "  "), 0)], letters, LENGTH)


def experiment(**downstream):
    run = {
        "corpus": "c", "model": {"d_model": 8, "n_layers": 1, "n_heads": 2}, "sequence_length": 16,
        "batch_size": 2, "steps": 64, "optimizer": {"learning_rate": 0.1},
        "schedule": {"warmup_steps": 1},
    }  # fmt: skip
    corpus = {
        "train": [{"kind": "files", "paths": ["*.txt"]}],
        "evaluation": {"sequences": 40, "sequence_length": 16},
        "tokenizer": {"kind": "bpe", "vocab_size": 300},
    }
    return {
        "experiment": "x", "corpora": {"c": corpus}, "fits": {"cut": 4},
        "suites": {"main": {"defaults": run, "runs": {"14M": {}, "37M": {}}}},
        "tables": {"table2_steps": [4]}, "measurements": {"downstream": downstream},
    }  # fmt: skip


def test_mistakes_are_one_clear_line():
    assert resolve(experiment(runs=["14M"]), {}).experiment.measurements.downstream.runs == ["14M"]
    with pytest.raises(ConfigError) as found:
        resolve(experiment(runs=["14M", "38M"]), {})
    assert str(found.value) == (
        "measurements.downstream.runs = '38M': suite main trains no such run; did you mean '37M'? "
        "known: 14M, 37M"
    )
    with pytest.raises(ConfigError, match="twice"):
        resolve(experiment(tasks=["piqa", "piqa"]), {})
    with pytest.raises(ConfigError, match=r"tasks\.0 = 'winogrande'"):
        resolve(experiment(tasks=["winogrande"]), {})
