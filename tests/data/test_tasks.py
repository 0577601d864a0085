"""The items of the tasks are those that OLMo itself makes, and samples are fair."""

import sys
from types import ModuleType
from typing import get_args

import numpy as np
import pytest

from zsl.config.measurements import TaskName
from zsl.data.tasks import metric_of, read_items, sample_items

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


def test_a_sample_is_ordered_distinct_and_fixed_by_its_seed():
    items = read_items("arc_easy")
    drawn = [[item.number for item in sample_items(items, 100, seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    for numbers in drawn:
        assert len(numbers) == 100 and numbers == sorted(set(numbers))
    assert sample_items(items, None, 0) == sample_items(items, 1000, 0) == items


def test_every_item_is_as_likely_to_be_drawn():
    items = read_items("arc_easy")[:20]
    count = np.zeros(20)
    for seed in range(1000):
        count[[item.number for item in sample_items(items, 5, seed)]] += 1
    assert count.sum() == 5000
    assert abs(count - 250).max() < 5 * np.sqrt(1000 * 0.25 * 0.75)
