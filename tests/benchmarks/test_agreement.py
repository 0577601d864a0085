"""What each script of benchmarks/ compares is equal, at a small size; nothing is timed here."""

from __future__ import annotations

import bnsl
import cross_section
import hashing
import interventions
import jvp
import lsma
import numpy as np
import plan
import proxy
import pytest
import tokenising
import torch
from harness import Disagreement

from zsl.config.schema import Corpus
from zsl.measurements.next_step import copy_of

CPU = torch.device("cpu")
SIZES = {"d_model": 16, "n_layers": 1, "sequences": 2, "positions": 8}


def test_lsma():
    result = lsma.measure(n_steps=300, rounds=1)
    assert result.ratio > 0 and "300 steps" in result.note


def test_lsma_that_is_wrong_stops_the_script(monkeypatch):
    monkeypatch.setattr(lsma, "loop", lambda losses: np.asarray(losses))
    with pytest.raises(Disagreement, match="largest relative difference"):
        lsma.measure(n_steps=300, rounds=1)


@pytest.mark.parametrize("ranges", bnsl.SETS)
def test_bnsl(ranges):
    assert "ours 0" in bnsl.measure(ranges, n_curves=3, rounds=1).note


def test_the_listing_finds_the_curve_it_is_given():
    """Code 1 as written here recovers the parameters of a curve without noise."""
    steps = np.unique(np.geomspace(101, 262_144, 300).astype(int)).astype(float)
    truth = (20.0, 0.2, -0.18, 8.6, 0.4)
    losses = np.exp(bnsl.log_model(np.log(steps), *truth))
    np.testing.assert_allclose(bnsl.listing(steps, losses), truth, rtol=1e-5)
    assert bnsl.rsle(steps, losses, np.array(truth)) < 1e-12
    assert bnsl.rsle(steps, 1.01 * losses, np.array(truth)) == pytest.approx(np.log(1.01))
    assert bnsl.rsle(steps, losses, np.full(5, np.nan)) == np.inf


def test_bnsl_that_is_worse_stops_the_script(monkeypatch):
    class Worse:
        parameters = np.array([18.0, 0.1, -0.05, 8.0, 0.5])

    monkeypatch.setattr(bnsl, "fit_bnsl", lambda steps, losses: Worse())
    with pytest.raises(Disagreement, match="above the peer's"):
        bnsl.measure(bnsl.SETS[0], n_curves=2, rounds=1)


def test_proxy():
    assert proxy.measure(CPU, 40, 1.0, rounds=1, **SIZES).agreement


def test_the_listing_of_the_proxy_leaves_the_model_as_it_was():
    model, input_ids = proxy.model_and_tokens(40, **SIZES)
    sums = proxy.listing(model, input_ids)
    assert all(p.grad is None and not hasattr(p, "sum_grads") for p in model.parameters())
    proxy.forward_and_backward(model, input_ids)
    for name, p in model.named_parameters():
        torch.testing.assert_close(sums[name][0], p.grad)


def test_jvp():
    result = jvp.measure(CPU, 40, 1, tokens=6, rounds=1, **SIZES)
    assert "extrapolated from 6" in result.peer and result.ratio > 0


def test_forward_passes_are_extrapolated_once():
    """3 s of forward passes and 2 s for each of 4 backward passes: 3 s and 2 s for each of 10."""
    assert jvp.extrapolated(np.array([3.0]), np.array([11.0]), 10 / 4) == [23.0]


def test_a_product_that_differs_stops_the_script(monkeypatch):
    right = jvp.first_order
    monkeypatch.setattr(jvp, "first_order", lambda *arguments: 1.001 * right(*arguments))
    with pytest.raises(Disagreement, match="largest difference"):
        jvp.measure(CPU, 40, 1, tokens=6, rounds=1, **SIZES)


TINY = {"d_model": 16, "n_layers": 1, "n_heads": 2}


def test_cross_section():
    (given,) = cross_section.trained(CPU, [2], **TINY)
    result = cross_section.measure(given, rounds=1, places=9, nodes=7)
    assert "7 Chebyshev points" in result.ours and "interpolated, estimated error" in result.note


def test_the_update_of_the_cross_section_is_the_next_step():
    states = [
        (copy_of(given.model), given.update) for given in cross_section.trained(CPU, [2, 3], **TINY)
    ]
    (before, update), (after, _) = states
    for name, weight in before.items():
        torch.testing.assert_close(weight + update[name], after[name])


def test_an_estimate_that_is_too_small_stops_the_script(monkeypatch):
    """Too few points for three thousand steps, whatever is estimated."""
    (given,) = cross_section.trained(CPU, [2], **TINY)
    monkeypatch.setattr(cross_section, "STEPS_TO_EITHER_SIDE", 3000.0)
    monkeypatch.setattr("zsl.measurements.cross_section.FINE_TOLERANCE", float("inf"))
    with pytest.raises(Disagreement, match="largest error of the mean"):
        cross_section.measure(given, rounds=1, places=9, nodes=5)


@pytest.fixture
def corpus(tmp_path):
    text = "\n\n".join(
        f"Passage {i}: {'ab cd ' * (i % 7)} and {i * i} more words." for i in range(90)
    )
    (tmp_path / "text.txt").write_text(text)
    return Corpus.model_validate(
        {
            "train": [{"kind": "files", "paths": ["text.txt"]}],
            "evaluation": {"sequences": 2, "sequence_length": 16, "window": 13},
            "tokenizer": {"kind": "bpe", "vocab_size": 270},
        }
    )


def test_tokenising(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(tokenising, "ROOT", tmp_path)
    result = tokenising.measure(corpus, rounds=1)
    assert result.agreement.startswith("equal ids in ")


@pytest.mark.parametrize(
    "change",
    [
        lambda stream, first: np.where(np.arange(len(stream)) == 3, 7, stream),  # a token
        lambda stream, first: stream[len(first) :],  # a document that is missing
        lambda stream, first: np.concatenate([stream, first]),  # one too many
    ],
)
def test_tokens_that_differ_stop_the_script(corpus, tmp_path, monkeypatch, change):
    monkeypatch.setattr(tokenising, "ROOT", tmp_path)
    prepared = tokenising.prepare(corpus, tmp_path)
    assert tokenising.compare_tokens(prepared).startswith("equal ids")
    write = tokenising.ours(prepared)

    def write_and_change():
        written = write()
        stream = np.fromfile(tmp_path / "train.bin", "uint16")
        first = stream[: np.argmax(stream == 0) + 1]
        change(stream, first).astype("uint16").tofile(tmp_path / "train.bin")
        return written

    monkeypatch.setattr(tokenising, "ours", lambda prepared: write_and_change)
    with pytest.raises(Disagreement, match="differ"):
        tokenising.compare_tokens(prepared)


def test_plan():
    dry_run = ["snakemake", "-n", "fig13", "--forceall", "--quiet", "rules"]
    result = plan.measure(dry_run, rounds=1)
    assert result.ratio > 0 and int(result.note.removesuffix(" jobs")) > 1


def test_a_plan_that_fails_stops_the_script():
    with pytest.raises(Disagreement, match="fig00: there is none"):
        plan.measure(["snakemake", "-n", "fig00", "--quiet", "rules"], rounds=1)


def test_hashing(monkeypatch):
    result = hashing.measure({3: 200_000, 5: 10}, rounds=1)
    assert result.agreement == "equal digests of 8 files"
    monkeypatch.setattr(hashing, "peer", lambda folder: {})
    with pytest.raises(Disagreement, match="not those of sha256sum"):
        hashing.measure({1: 10}, rounds=1)


def test_interventions(monkeypatch):
    sizes = {"sequences": 4, "positions": 8, "d_model": 16, "n_layers": 1, "n_heads": 1}
    monkeypatch.setattr(interventions, "STEPS", 1)
    found = interventions.measure(CPU, 64, rounds=1, **sizes)
    assert [result.name for result in found] == [*interventions.INTERVENTIONS]
    assert all(result.ratio > 0 and "gamma = 0 0.0e+00" in result.agreement for result in found)
