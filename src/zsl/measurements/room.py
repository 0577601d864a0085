"""How many sequences a measurement reads at once, and whether there is memory for them."""

from __future__ import annotations

from zsl.config.measurements import Measurement
from zsl.measurements.losses import LOGIT_BYTES
from zsl.memory import MicroBatch, at_once, check_room
from zsl.models.base import LanguageModel

LOGIT_COPIES, WEIGHT_COPIES = 4, 5
"""Most arrays of the size of the logits, and of the weights, that stand beside one another."""


def micro_batch_of(
    settings: Measurement, model: LanguageModel, asked: int | None, most: int, positions: int
) -> MicroBatch:
    """The sequences of ``positions`` tokens, of ``most``, that a measurement begins with.

    ``asked``, if given; else all on a GPU, which has fewer tried where they do not fit, and on a
    CPU as many as a bound holds. Raises OutOfMemory where a CPU has no memory for them.
    """
    weight = next(model.parameters())
    each = model.activation_bytes(positions, gradients=settings.gradients)
    size = asked or at_once(most, each, weight.device)
    if weight.device.type == "cpu":
        read = min(size, most)
        logits = min(LOGIT_BYTES, read * positions * model.rows * weight.element_size())
        weights = sum(w.nbytes for w in model.parameters()) if settings.gradients else 0
        check_room(
            read * each + LOGIT_COPIES * logits + WEIGHT_COPIES * weights,
            f"{settings.name} of {read} sequences of {positions:,} tokens",
            "lower measurements.micro_batch_size" if read > 1 else "use shorter sequences",
        )
    return MicroBatch(size)
