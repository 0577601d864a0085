"""C_g from a sample of tokens, against all of them, in a model that has learnt something.

Tokens of an untrained model are all alike, which makes sampling easy. The model is therefore
trained for a while on a Markov chain with few successors and skewed probabilities. The sample is
the smallest whose C_g is off by 3 % or less in the median over samples; only the sum that is
estimated is timed, as everything else is made for either.
"""

from __future__ import annotations

import numpy as np
import torch
from harness import ROUNDS, Result, absolute, alternate, check, describe, main, spread
from inputs import SMALL, model_and_tokens
from torch import Tensor

from zsl.config.measurements import TokenGradients
from zsl.measurements.sampling import sample, total_of
from zsl.measurements.token_gradients import sampled_total, tile_bytes, weighted
from zsl.models.base import every_token
from zsl.models.olmo.adapter import Olmo
from zsl.training.step import token_losses

SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128)
SAMPLES = 400
ERROR = 0.03


def chain(vocab_size: int, sequences: int, positions: int) -> Tensor:
    """Sequences (sequences, positions) of a Markov chain with 8 successors to each token."""
    generator = torch.Generator().manual_seed(1)
    successors = torch.randint(vocab_size, (vocab_size, 8), generator=generator)
    chances = 0.5 ** torch.arange(8.0)
    ids = torch.randint(vocab_size, (sequences, 1), generator=generator)
    for _ in range(positions - 1):
        which = torch.multinomial(chances, sequences, replacement=True, generator=generator)
        ids = torch.cat([ids, successors[ids[:, -1], which].unsqueeze(1)], dim=1)
    return ids


def train(model: Olmo, input_ids: Tensor, steps: int) -> dict[str, Tensor]:
    """Train on batches of 8 of ``input_ids`` (sequences, positions); returns the last update."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.95))
    for step in range(steps):
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        batch = input_ids[torch.arange(8 * step, 8 * step + 8) % len(input_ids)]
        optimizer.zero_grad()
        token_losses(model(batch).logits, batch).mean().backward()
        optimizer.step()
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


def median_errors(s: np.ndarray, shares: np.ndarray) -> dict[int, float]:
    """Median over samples of the relative error of C_g, by size of the sample."""
    errors = {}
    for size in SIZES:
        estimates = [total_of(s[c], c, shares) for c in _samples(len(s), size)]
        C = [estimate.ratio_of(s.sum()).value for estimate in estimates]
        errors[size] = float(np.median(np.abs(np.array(C) - 1)))
    return errors


def _samples(n_tokens: int, size: int) -> list[np.ndarray]:
    return [sample(n_tokens, size, seed) for seed in range(SAMPLES)]


def measure(
    device: torch.device,
    steps: int = 150,
    rounds: int = ROUNDS,
    vocab_size: int = SMALL,
    **sizes: int,
) -> Result:
    model, random_ids = model_and_tokens(vocab_size, **{"sequences": 16, **sizes})
    ids = chain(vocab_size, len(random_ids) + 256, random_ids.shape[1]).to(device)
    input_ids, training = ids[: len(random_ids)], ids[len(random_ids) :]
    update = train(model.to(device), training, steps)
    settings = TokenGradients(estimator="sampled", sequences=len(input_ids))
    pieces = {"chunk": settings.chunk, "tile_bytes": tile_bytes(settings)}

    def exact() -> float:
        return weighted(update, model.exact_gradients().absolute_sums(input_ids, **pieces))

    s, shares = (
        x.cpu().numpy()
        for x in model.exact_gradients().token_sums(
            input_ids, every_token(input_ids), update, **pieces
        )
    )
    agreement = check("sample of all tokens, relative difference", abs(s.sum() / exact() - 1), 1e-5)
    errors = median_errors(s, shares)
    size = next(size for size, error in errors.items() if error <= ERROR)
    chosen = settings.model_copy(update={"tokens": size})
    calls = [exact, lambda: sampled_total(model.exact_gradients(), input_ids, update, chosen)]
    all_tokens, some_tokens = alternate(calls, rounds).T
    return Result(
        name="C_g from a sample",
        peer="zsl.models.olmo.exact_gradients.absolute_sums over all tokens",
        ours="zsl.measurements.token_gradients.sampled_total",
        unit="x the speed of all tokens",
        **spread(all_tokens / some_tokens),
        target=">= 8",
        agreement=agreement,
        note=f"{size} of {len(s)} tokens, median error {100 * errors[size]:.1f} %, d = "
        f"{model.config.d_model}, V = {vocab_size} "
        + absolute(device, all=all_tokens, sample=some_tokens),
        device=describe(device),
    )


if __name__ == "__main__":
    main(lambda device: [measure(device)])
