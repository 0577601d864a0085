"""Token gradients: the scripts of benchmarks/ compare equal numbers; nothing is timed here."""

from __future__ import annotations

import exact_gradients
import layer_gradients
import pytest
import sampling
import torch
from harness import Disagreement

from zsl.models.base import every_token
from zsl.models.olmo.exact_gradients import OlmoGradients

CPU = torch.device("cpu")
SIZES = {"d_model": 16, "n_layers": 2, "sequences": 2, "positions": 9}


@pytest.mark.parametrize("n_peer", [None, 5])
def test_exact_gradients(n_peer):
    results = exact_gradients.measure(CPU, 40, 1.0, n_peer, rounds=1, **SIZES)
    assert [("scaled" in result.note) for result in results] == [n_peer is not None] * 2


@pytest.mark.parametrize("of", layer_gradients.MODELS)
def test_gradients_by_layers(of):
    sizes = {"d_model": 16, "sequences": 2, "positions": 9}
    result = layer_gradients.measure(CPU, of, 40, 1.0, 5, rounds=1, **sizes)
    assert result.ratio > 0 and of in result.name


@pytest.mark.parametrize("graph", exact_gradients.PEERS)
def test_the_peer_takes_the_tokens_it_is_given(graph):
    model, input_ids = exact_gradients.model_and_tokens(40, **SIZES)
    tokens = every_token(input_ids)
    parts = [
        exact_gradients.one_by_one(model, input_ids, t, graph) for t in (tokens[:9], tokens[9:])
    ]
    for name, whole in exact_gradients.one_by_one(model, input_ids, tokens).items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], whole, rtol=1e-4, atol=1e-6)


def test_gradients_that_are_wrong_stop_the_script(monkeypatch):
    ours = OlmoGradients.absolute_sums

    def wrong(*args, **kwargs):
        return {name: 1.0001 * value for name, value in ours(*args, **kwargs).items()}

    monkeypatch.setattr(OlmoGradients, "absolute_sums", wrong)
    with pytest.raises(Disagreement, match="largest relative difference"):
        exact_gradients.measure(CPU, 40, 1.0, rounds=1, **SIZES)


def test_sampling(monkeypatch):
    monkeypatch.setattr(sampling, "SAMPLES", 5)
    monkeypatch.setattr(sampling, "ERROR", 1.0)
    result = sampling.measure(CPU, steps=2, rounds=1, vocab_size=40, **SIZES)
    assert result.ratio > 0 and "8 of 16 tokens" in result.note


def test_sampling_that_is_wrong_stops_the_script(monkeypatch):
    weighted = sampling.weighted
    monkeypatch.setattr(sampling, "weighted", lambda *args: 1.001 * weighted(*args))
    with pytest.raises(Disagreement, match="sample of all tokens"):
        sampling.measure(CPU, steps=2, rounds=1, vocab_size=40, **SIZES)
