"""Sums of absolute per-token gradients of OLMo, through a backward pass written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from olmo.model import OLMo
from torch import Tensor

from zsl.models.by_token import GradientsByToken, OfSequence
from zsl.models.olmo.prefix_backward import INPUT, OUTPUT, Walk
from zsl.models.olmo.saved_forward import check_architecture, save_forward


class OlmoGradients(GradientsByToken):
    """See :class:`zsl.models.base.ExactGradients`.

    Raises MeasurementError for architectures other than :func:`check_architecture` knows.
    """

    input, output = INPUT, OUTPUT

    def __init__(self, model: OLMo) -> None:
        check_architecture(model)
        self._model = model

    def _weights(self) -> dict[str, Tensor]:
        return {name: weight.detach() for name, weight in self._model.named_parameters()}

    def _walk(
        self,
        weights: Mapping[str, Tensor],
        tokens: Tensor,
        wanted: Sequence[OfSequence],
        tile_bytes: int,
    ) -> None:
        saved = save_forward(self._model, tokens)
        for each in wanted:
            Walk(
                weights=weights,
                saved=saved,
                positions=each.positions,
                chunks=each.chunks,
                first=each.first,
                reduction=each.reduction,
                tile_bytes=tile_bytes,
                tied=OUTPUT not in weights,
            ).run()
