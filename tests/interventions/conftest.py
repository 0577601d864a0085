from __future__ import annotations

import numpy as np
import pytest
import torch

from zsl.models.olmo.build import build_model
from zsl.training.model import make_optimizer, make_passes
from zsl.training.step import loss_denominator, token_losses, train_step, wrap

SWIGLU = {"d_model": 8, "n_layers": 2, "n_heads": 2, "init": "normal"}
GPT2 = {**SWIGLU, "activation": "gelu", "rope": False, "mlp_ratio": 2, "weight_tying": False}
MODELS = {"swiglu": SWIGLU, "gpt2": GPT2}
EACH = {
    "agreement": {"gamma": 0.5},
    "placebo": {"gamma": 0.5, "seed": 3},
    "micro_batch_agreement": {"micro_batches": 2},
    "token_weights": {"clip": 0.9, "focal": 0.5, "top": 0.6},
    "projection": {"by": "frequency"},
}
"""Settings by name with which each changes something."""
NAMES = [*EACH]


class Trained:
    """A tiny OLMo in training, float64 unless asked otherwise."""

    def __init__(self, run, tokenizer, tokens, group, dtype=torch.float64) -> None:
        self.run, self.tokens, self.group = run, tokens, group
        self.model = build_model(run, tokenizer).to(dtype)
        self.optimizer = make_optimizer(run, self.model)
        self.module = wrap(self.model, run, group)
        self.passes = make_passes(run, self.model, self.optimizer)
        self.t = 0

    def batch(self) -> torch.Tensor:
        """The sequences of the next step."""
        size = self.run.batch_size
        return torch.from_numpy(self.tokens.batch(np.arange(size * self.t, size * (self.t + 1))))

    def weights(self) -> dict[str, np.ndarray]:
        """The weights by name, copied."""
        return {n: w.detach().numpy().copy() for n, w in self.model.named_parameters()}

    def gradient(self, ids: torch.Tensor | None = None) -> dict[str, np.ndarray]:
        """What an intervention leaves for the next step, not clipped."""
        ids, size = self.batch() if ids is None else ids, self.run.precision.micro_batch_size
        self.passes(self.module, ids, self.run, self.group, size or len(ids), step=self.t + 1)
        made = {n: w.grad.numpy().copy() for n, w in self.model.named_parameters()}
        self.model.zero_grad()
        return made

    def plain(self) -> dict[str, np.ndarray]:
        """Gradients of the mean loss, by autograd alone."""
        ids = self.batch()
        loss = token_losses(self.model(ids).logits, ids).sum() / loss_denominator(self.run)
        made = torch.autograd.grad(loss, list(self.model.parameters()))
        return {n: g.numpy() for (n, _), g in zip(self.model.named_parameters(), made, strict=True)}

    def step(self, rate: float = 1e-2):
        """Make the next step."""
        result = train_step(
            self.module,
            self.optimizer,
            self.batch(),
            self.run,
            self.group,
            learning_rate=rate,
            passes=self.passes,
            step=self.t + 1,
        )
        self.t += 1
        return result


@pytest.fixture
def intervened(make_run):
    """A run of a tiny OLMo with an intervention; None for none."""

    def make(name, model="swiglu", precision=None, **settings):
        more = {} if name is None else {"intervention": {"name": name, **EACH[name], **settings}}
        if precision:
            more["precision"] = precision
        optimizer = {"learning_rate": 1e-2, "clip": 0.05}
        return make_run(model=MODELS[model], optimizer=optimizer, **more)

    return make


@pytest.fixture
def train(tokenizer, tokens, one_process):
    return lambda run, **more: Trained(run, tokenizer, tokens, one_process, **more)
