"""Fixtures that tests of models and of measurements share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def in_float64(monkeypatch):
    """A function that makes OLMo float64 throughout, in place, until the test ends.

    Its norm and its rotary positions otherwise round to float32.
    """
    from olmo.model import RMSLayerNorm

    def forward(norm, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.eps)

    def convert(model):
        monkeypatch.setattr(RMSLayerNorm, "forward", forward)
        model.config.rope_full_precision = False
        return model.double()

    return convert


@pytest.fixture
def random_update():
    """A function that makes a random update of a model's weights, always the same."""

    def make(model, scale=1e-2):
        generator = torch.Generator().manual_seed(0)
        return {
            name: scale * torch.randn(p.shape, generator=generator).to(p.dtype)
            for name, p in model.named_parameters()
        }

    return make


@pytest.fixture
def gradients_by_token():
    """A function that makes every token's gradient by a backward pass of its own.

    By weight, (predictions, *shape of the weight), sequence by sequence.
    """
    from zsl.training.step import token_losses

    def gradients(model, input_ids, losses=lambda model, ids: token_losses(model(ids).logits, ids)):
        names, weights = zip(*model.named_parameters(), strict=True)
        each = [
            torch.autograd.grad(loss, weights, retain_graph=True, materialize_grads=True)
            for loss in losses(model, input_ids).flatten()
        ]
        return {
            name: torch.stack(g) for name, g in zip(names, zip(*each, strict=True), strict=True)
        }

    return gradients
