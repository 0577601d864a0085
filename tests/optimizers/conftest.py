from __future__ import annotations

import numpy as np
import pytest
import torch

from zsl.models.olmo.build import build_model
from zsl.training.model import make_optimizer
from zsl.training.step import loss_denominator, token_losses, train_step, wrap

GPT2 = {
    "d_model": 16,
    "n_layers": 2,
    "n_heads": 2,
    "mlp_ratio": 4,
    "activation": "gelu",
    "rope": False,
    "init": "gpt2",
    "layer_norm_eps": 1e-6,
}
SWIGLU = {"d_model": 16, "n_layers": 2, "n_heads": 2}
MODELS = {"gpt2": GPT2, "swiglu": SWIGLU}
EACH = {
    "adamw": {},
    "c_adamw": {},
    "ademamix": {"betas": [0.9, 0.999], "beta3": 0.99, "t_alpha_beta3": 3},
    "muon": {},
}
"""Settings by name that five steps can tell apart: AdEMAMix ends its warm-ups after three."""


@pytest.fixture
def optimizer_run(make_run):
    """A run of a tiny OLMo with an optimizer."""

    def make(name, model="gpt2", **settings):
        values = {"name": name, "learning_rate": 1e-2, **EACH[name], **settings}
        return make_run(model=MODELS[model], optimizer=values)

    return make


class Trained:
    """A tiny OLMo in training, and what the steps' gradients were before clipping."""

    def __init__(self, run, tokenizer, tokens, group) -> None:
        self.run, self.tokens, self.group = run, tokens, group
        self.model = build_model(run, tokenizer)
        self.optimizer = make_optimizer(run, self.model)
        self.module = wrap(self.model, run, group)
        self.t = 0

    def weights(self) -> dict[str, np.ndarray]:
        """The weights by name, float64."""
        return {n: w.detach().double().numpy() for n, w in self.model.named_parameters()}

    def gradients(self) -> dict[str, np.ndarray]:
        """Gradients of the next step's loss, not clipped, float64."""
        ids = self._batch()
        loss = token_losses(self.model(ids).logits, ids).sum() / loss_denominator(self.run)
        names, weights = zip(*self.model.named_parameters(), strict=True)
        made = torch.autograd.grad(loss, weights)
        return {name: g.double().numpy() for name, g in zip(names, made, strict=True)}

    def step(self, rate: float = 1e-2) -> None:
        train_step(
            self.module, self.optimizer, self._batch(), self.run, self.group, learning_rate=rate
        )
        self.t += 1

    def _batch(self) -> torch.Tensor:
        return torch.from_numpy(self.tokens.batch(np.arange(4 * self.t, 4 * self.t + 4)))


@pytest.fixture
def train(tokenizer, tokens, one_process):
    return lambda run: Trained(run, tokenizer, tokens, one_process)
