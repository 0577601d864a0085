"""What interventions add to a training step at mini's largest size (``zsl.interventions``).

The peer is the plain step of the same model on the same batch. All make four steps in turn, so that
C, measured every fourth step, is measured once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from harness import Result, absolute, alternate, check, describe, main, spread
from inputs import model_and_tokens, run_settings
from torch import Tensor

from zsl.config.schema import Run
from zsl.training.model import make_optimizer, make_passes
from zsl.training.parallel import Processes
from zsl.training.step import train_step

STEPS = 4
RATE = 1e-3
VOCABULARY = 1024
MINI = {"sequences": 64, "positions": 64, "d_model": 64, "n_layers": 2, "n_heads": 2}
INTERVENTIONS: dict[str, tuple[dict[str, Any], float]] = {
    "agreement": ({"name": "agreement", "gamma": 0.5}, 1.4),
    "agreement, every 4": ({"name": "agreement", "gamma": 0.5, "every": 4}, 1.15),
    "placebo": ({"name": "placebo", "gamma": 0.5}, 1.5),
    "micro_batch_agreement": ({"name": "micro_batch_agreement"}, 1.3),
    "token_weights, clip": ({"name": "token_weights", "clip": 1.0}, 1.4),
    "token_weights, top": ({"name": "token_weights", "top": 0.5}, 1.2),
    "projection": ({"name": "projection", "by": "frequency"}, 1.9),
}
"""Settings, and the most that a step may cost, in plain steps."""


def stepper(run: Run, vocabulary: int, device: torch.device, **sizes: int) -> Callable[[], Tensor]:
    """What makes four steps of a run from where it is; returns the last loss."""
    model, input_ids = model_and_tokens(vocabulary, **sizes)
    model, input_ids = model.to(device), input_ids.to(device)
    optimizer = make_optimizer(run, model)
    passes, alone = make_passes(run, model, optimizer), Processes(0, 1, device)

    def steps() -> Tensor:
        for step in range(1, STEPS + 1):
            made = train_step(
                model,
                optimizer,
                input_ids,
                run,
                alone,
                learning_rate=RATE,
                passes=passes,
                step=step,
            )
        return made.loss

    return steps


def measure(
    device: torch.device, vocabulary: int = VOCABULARY, rounds: int = 15, **sizes: int
) -> list[Result]:
    sizes = {**MINI, **sizes}
    plain = run_settings(**sizes)
    runs = {
        name: Run.model_validate({**plain.model_dump(mode="json"), "intervention": settings})
        for name, (settings, _) in INTERVENTIONS.items()
    }
    neutral = {**plain.model_dump(mode="json"), "intervention": {"name": "agreement", "gamma": 0}}
    losses = [
        float(stepper(run, vocabulary, device, **sizes)())
        for run in (plain, Run.model_validate(neutral))
    ]
    agreement = check("difference of losses at gamma = 0", abs(losses[0] - losses[1]), 0)
    functions = [stepper(run, vocabulary, device, **sizes) for run in (plain, *runs.values())]
    seconds = alternate(functions, rounds)
    return [
        Result(
            name=name,
            peer="the plain step",
            ours=f"zsl.interventions.{runs[name].intervention.name}",  # type: ignore[union-attr]
            unit="x the plain step's time",
            **spread(own / seconds[:, 0]),
            target=f"<= {INTERVENTIONS[name][1]}",
            agreement=agreement,
            note=f"{sizes['sequences']} x {sizes['positions']} tokens, d = {sizes['d_model']}, "
            f"V = {vocabulary} " + absolute(device, plain=seconds[:, 0], ours=own),
            device=describe(device),
        )
        for name, own in zip(runs, np.moveaxis(seconds[:, 1:], 1, 0), strict=True)
    ]


if __name__ == "__main__":
    main(measure)
