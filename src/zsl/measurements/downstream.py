"""``downstream``: accuracy on multiple-choice tasks at a checkpoint (B.3, Fig. 17).

A choice is judged by the log-likelihood of its tokens given the context, from float32 weights
and logits, as in OLMo's in-loop evaluation: context and continuation are encoded each for
itself, nothing stands before the context, and what does not fit into the model is cut off on
the left.

A continuation that is longer than the model's context itself, for which OLMo has no rule, is
read in parts of at most half that length, each after the tokens before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from zsl.config.measurements import Downstream, TaskName
from zsl.data.tasks import Item, Metric, encode_texts, metric_of, read_items, sample_items
from zsl.errors import MeasurementError
from zsl.measurements.hdf5 import write_dataset
from zsl.measurements.losses import losses_at
from zsl.models.base import LanguageModel

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A sequence of tokens whose end is judged."""

    choice: int
    """Number of the choice that it is of, counted over all items of the task."""
    tokens: tuple[int, ...]
    """Ids; the last one is only predicted."""
    judged: int
    """The last so many tokens count."""


@dataclass(frozen=True)
class Questions:
    """The items of a task in the tokens of a model."""

    items: tuple[Item, ...]
    parts: tuple[Part, ...]
    """Of all choices, short ones first."""
    cut: npt.NDArray[np.bool_]
    """(items,), whether tokens before the judged ones were cut off, for any of the choices."""

    @property
    def n_choices(self) -> npt.NDArray[np.int64]:
        """(items,), choices of each item."""
        return np.array([len(item.continuations) for item in self.items])

    def by_item(self, values: Sequence[float] | Floats) -> Floats:
        """``values`` (all choices,) as (items, choices), NaN where an item has fewer choices."""
        table = np.full((len(self.items), self.n_choices.max()), np.nan)
        table[np.arange(table.shape[1]) < self.n_choices[:, None]] = values
        return table


def questions_of(
    settings: Downstream, tokenizer: Tokenizer, length: int
) -> dict[TaskName, Questions]:
    """The items that are asked of each task, for a model that reads ``length`` tokens; raises as
    :func:`encode`."""
    return {
        task: encode(
            sample_items(read_items(task), settings.items, settings.seed), tokenizer, length
        )
        for task in settings.tasks
    }


def encode(items: Sequence[Item], tokenizer: Tokenizer, length: int) -> Questions:
    """``items`` for a model that reads ``length`` tokens.

    Raises MeasurementError for a context or a continuation without any token.
    """
    contexts = encode_texts(tokenizer, [item.context for item in items])
    texts = [(number, text) for number, item in enumerate(items) for text in item.continuations]
    found: list[Part] = []
    cut = np.zeros(len(items), dtype=bool)
    continuations = encode_texts(tokenizer, [text for _, text in texts])
    for choice, ((number, text), continuation) in enumerate(zip(texts, continuations, strict=True)):
        context = contexts[number]
        if not context or not continuation:
            raise MeasurementError(
                f"item {items[number].number}: the tokenizer makes no token of its context or of "
                f"its choice {text!r}; use one that encodes all text"
            )
        for first, end in spans(len(continuation), length):
            whole = [*context, *continuation[:end]]
            cut[number] |= len(whole) > length + 1
            found.append(Part(choice, tuple(whole[-length - 1 :]), end - first))
    found.sort(key=lambda part: len(part.tokens))
    return Questions(tuple(items), tuple(found), cut)


def spans(tokens: int, length: int) -> Iterator[tuple[int, int]]:
    """Where the parts of a continuation begin and end in a model that reads ``length`` tokens."""
    size = tokens if tokens <= length else max(1, length // 2)
    for first in range(0, tokens, size):
        yield first, min(first + size, tokens)


@torch.inference_mode()
def log_likelihoods(model: LanguageModel, parts: Sequence[Part], micro_batch_size: int) -> Floats:
    """Log-likelihood (nats) of every choice, (all choices,): the sum over its judged tokens.

    Sequences of about one length are computed together, filled up at their end, which what
    stands before does not see. Raises MeasurementError when one is not finite.
    """
    device = next(model.parameters()).device
    sums = np.zeros(1 + max(part.choice for part in parts))
    for first in range(0, len(parts), micro_batch_size):
        batch = parts[first : first + micro_batch_size]
        longest = max(len(part.tokens) for part in batch) - 1
        input_ids = torch.zeros((len(batch), longest), dtype=torch.int64)
        *at, targets = (torch.tensor(each, device=device) for each in _judged(batch))
        for row, part in enumerate(batch):
            input_ids[row, : len(part.tokens) - 1] = torch.tensor(part.tokens[:-1])
        losses = losses_at(model, input_ids.to(device), (at[0], at[1]), targets)
        choices = np.array([part.choice for part in batch])[at[0].cpu().numpy()]
        np.subtract.at(sums, choices, losses.double().cpu().numpy())
    if not np.isfinite(sums).all():
        raise MeasurementError("the log-likelihood of a choice is not finite")
    return sums


def _judged(batch: Sequence[Part]) -> tuple[list[int], list[int], list[int]]:
    """Row, position and id of each judged token: position p predicts token p + 1."""
    found = [
        (row, at - 1, part.tokens[at])
        for row, part in enumerate(batch)
        for at in range(len(part.tokens) - part.judged, len(part.tokens))
    ]
    rows, positions, ids = zip(*found, strict=True)
    return [*rows], [*positions], [*ids]


@dataclass(frozen=True)
class Accuracy:
    """How often the right choice is the likeliest."""

    value: float
    se: float
    """Standard error over the items, sqrt(a (1 - a) / (n - 1)); NaN for one item."""
    chance: float
    """What guessing gives: the mean of 1 / choices."""


def accuracy(scores: Floats, labels: npt.NDArray[np.int64]) -> Accuracy:
    """Of ``scores`` (items, choices), NaN where there is no choice, and ``labels`` (items,).

    Of equal scores the first choice counts, as in OLMo.
    """
    n = len(labels)
    a = float((np.nanargmax(scores, axis=1) == labels).mean())
    se = float(np.sqrt(a * (1 - a) / (n - 1))) if n > 1 else float("nan")
    return Accuracy(a, se, float((1 / np.isfinite(scores).sum(axis=1)).mean()))


def measure(
    model: LanguageModel,
    tasks: Mapping[TaskName, Questions],
    micro_batch_size: int,
    group: h5py.Group,
) -> None:
    """Write the log-likelihoods and accuracies of ``model`` to ``group``, a group for each task."""
    for task, questions in tasks.items():
        sums = questions.by_item(log_likelihoods(model, questions.parts, micro_batch_size))
        _write(group.create_group(task), questions, sums, metric_of(task))


def _write(group: h5py.Group, questions: Questions, sums: Floats, metric: Metric) -> None:
    items = questions.items
    characters = questions.by_item([n for item in items for n in item.characters])
    labels = np.array([item.label for item in items])
    scored = accuracy(sums / characters if metric == "len_norm" else sums, labels)
    values: dict[str, tuple[Any, str, str]] = {
        "log_likelihood": (sums.astype(np.float32), "nats", LOG_LIKELIHOOD),
        "characters": (characters.astype(np.float32), "characters", CHARACTERS),
        "label": (labels, "1", "the right choice, from 0"),
        "item": (np.array([item.number for item in items]), "1", ITEM),
        "cut": (questions.cut, "1", CUT),
        "accuracy": (scored.value, "1", ACCURACY[metric]),
        "accuracy_se": (scored.se, "1", "standard error of the accuracy over the items"),
        "chance": (scored.chance, "1", "mean over the items of 1 / number of choices"),
    }
    for name, (value, units, description) in values.items():
        array = np.asarray(value)
        axes = ("items", "choices")[: array.ndim]
        write_dataset(group, name, array, units=units, axes=axes, description=description)
    group.attrs["metric"] = metric


LOG_LIKELIHOOD = (
    "sum over a choice's tokens of their log-probability given the context, over all rows of the "
    "embedding; NaN where the item has fewer choices"
)
CHARACTERS = "characters of a choice without the blank before it; NaN where there is no choice"
ITEM = "row of the item in the validation split of the task, from 0"
CUT = "whether the model's context was too short for any choice, so that it was cut on the left"
ACCURACY: Mapping[Metric, str] = {
    "acc": "share of the items whose right choice has the largest log-likelihood",
    "len_norm": "share of the items whose right choice has the largest one per character",
}
