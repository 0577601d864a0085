"""The order in which checkpoints of others are fetched."""

from itertools import pairwise

import pytest

from zsl.config.elsewhere import Elsewhere, Fetched
from zsl.config.load import resolve
from zsl.config.measurements import MEASUREMENTS
from zsl.errors import ConfigError
from zsl.planning.fetching import Window, checkpoints_of, waited_for

CORPUS = {
    "train": [{"kind": "files", "paths": ["a.txt"]}],
    "evaluation": {"sequences": 40, "sequence_length": 8},
    "tokenizer": {"kind": "bpe", "vocab_size": 300},
}
RUN = {
    "corpus": "text",
    "model": {"d_model": 8, "n_layers": 1, "n_heads": 2},
    "sequence_length": 8,
    "batch_size": 4,
    "steps": 256,
    "optimizer": {"learning_rate": 0.01},
    "schedule": {"warmup_steps": 0},
    "source": {"repository": "a/b", "steps": [0, "2^0..2^8"]},
}


def plan_of(fetched=None, corpus=CORPUS, trained=False, **source):
    run = {**RUN, "source": None if trained else {**RUN["source"], **source}}
    values = {
        "experiment": "x",
        "corpora": {"text": corpus},
        "suites": {"main": {"defaults": run, "runs": {"small": {}, "large": {}}}},
        "fits": {"cut": 4},
        "fetched": fetched or {},
        "tables": {"table2_steps": [4]},
    }
    return resolve(values, {})


def order(fetched):
    return Window.of(plan_of(), {"main-small": 10_000, "main-large": 10**9}, Fetched(**fetched))


@pytest.mark.parametrize("on_disk", [2, 3, 5])
def test_no_more_than_allowed_follow_one_another(on_disk):
    """Simulated: a checkpoint may be fetched once all up to its ``before`` were dropped."""
    window = order({"on_disk": on_disk})
    places = [*window.before]
    for place, before in window.before.items():
        start = places.index(before) + 1 if before else 0
        there = places[start : places.index(place) + 1]
        steps = sum(1 + (segment == "00000000-00000001") for _, segment in there)
        assert steps <= on_disk
        longer = places[max(0, start - 1) : places.index(place) + 1]
        more = sum(1 + (segment == "00000000-00000001") for _, segment in longer)
        assert start == 0 or more > on_disk  # as many as are allowed


def test_gigabytes_bound_what_is_on_the_disk():
    window = order({"gigabytes": 50})
    places = [*window.before]
    small = [place for place in places if place[0] == "main-small"]
    assert all(window.before[place] is None for place in small)
    # Weights and two moments of a billion, as they came and as they are read, are 24 GB.
    last = places[-1]
    assert window.before[last] == places[-3]


def test_the_measurements_that_a_figure_needs_are_waited_for():
    plan = plan_of()
    found = waited_for(plan, ["fig05"])
    assert {kind for kinds in found.values() for kind in kinds} == {"token_losses"}
    assert len(found) == 2 * 9
    both = waited_for(plan, ["fig05", "results/x/figures/fig16.svg"])
    assert both["main-small", "00000064-00000128"] == ["single_step", "token_losses"]
    every = {kind for kinds in waited_for(plan, []).values() for kind in kinds}
    assert every == {name for name, kind in MEASUREMENTS.items() if kind.reads != "losses"}
    assert waited_for(plan, ["all"]) == waited_for(plan, [])


@pytest.mark.parametrize(
    ("word", "kinds", "n"),
    [
        ("results/x/fits/main-small.json", {"token_losses"}, 9),
        ("results/x/curves/single_step/main-small.csv", {"single_step"}, 9),
        ("results/x/curves/delta_loss/main-small.csv", {"token_losses"}, 9),
        (
            "results/x/measurements/cross_section/main-small/00000002-00000004.h5",
            {"cross_section"},
            1,
        ),
        ("unheard_of", set(), 0),
    ],
)
def test_a_file_is_waited_for_with_what_it_needs_alone(word, kinds, n):
    found = waited_for(plan_of(), [word])
    assert {kind for kinds in found.values() for kind in kinds} == kinds
    assert len(found) == n and {run for run, _ in found} <= {"main-small"}


def test_a_difference_never_waits_for_itself():
    """Steps 0 and 1 are one place: with the next one they are three, where two are allowed."""
    plan = plan_of(optimizer=False)
    window = Window.of(plan, {"main-small": 10, "main-large": 10}, Fetched(on_disk=2))
    places = [*window.before]
    for place, following in pairwise(places):
        if place[0] == following[0]:
            assert window.before[following] != place


def test_folders_here(tmp_path):
    for step in (1, 2):
        (tmp_path / f"ckpt_{step:03d}").mkdir()
        (tmp_path / f"ckpt_{step:03d}/model.pt").write_bytes(b"x")
        (tmp_path / f"ckpt_{step:03d}/train.pt").write_bytes(b"x")
    source = Elsewhere(folder=str(tmp_path), revision="ckpt_{step}", steps=[1, 2])
    assert checkpoints_of(source, [2]) == [tmp_path / "ckpt_002/model.pt"]
    with pytest.raises(ConfigError, match=r"no folder 'ckpt_\{step\}' of step 3"):
        checkpoints_of(source, [3])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"repository": None}, "give either repository"),
        ({"folder": "x"}, "give either repository"),
        ({"revision": "main"}, "revision needs {step} once"),
        ({"revision": {1: "a", 2: "b"}}, "revision names no checkpoint of steps"),
        ({"steps": ["2^0..2^9"]}, "512: not within the run's steps, 256"),
        ({"steps": ["many"]}, "many are no steps"),
        ({"steps": [1, 2, 4, 8, 16, 32]}, "of which 3 are after step 4; name more than 5"),
        ({"repository": "b"}, "repository"),
    ],
)
def test_mistakes(source, said):
    with pytest.raises(ConfigError, match=said.replace("{", r"\{").replace("^", r"\^")):
        plan_of(**source)


def test_batches_of_another_length():
    values = {
        "kind": "memmap",
        "paths": ["a.npy"],
        "batches": {"seed": 1, "order": "sample", "sequence_length": 16, "batch_size": 4},
    }
    corpus = {**CORPUS, "train": [values], "eval_sources": CORPUS["train"]}
    with pytest.raises(ConfigError, match="sequence_length = 16: the run's sequences have 8"):
        plan_of(corpus=corpus)
    with pytest.raises(ConfigError, match="train on another corpus"):
        plan_of(corpus=corpus, trained=True)


def test_steps_written_as_powers_and_ranges():
    source = Elsewhere(repository="a/b", steps=[0, "2^0..2^3", "1000..3000:1000"])
    assert source.steps == [0, 1, 2, 4, 8, 1000, 2000, 3000]
