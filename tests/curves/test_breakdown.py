"""Groups of tokens hold every token once, and their sums are those of the whole."""

from collections import Counter

import numpy as np
import pytest

from zsl.curves.breakdown import breakdown, by_frequency, by_position, token_counts
from zsl.data.tokens import TokenFiles
from zsl.measurements.delta_loss import write_delta_loss
from zsl.measurements.hdf5 import writing

IDS = 40
COUNTS = np.random.default_rng(0).integers(0, 3000, IDS) ** 2
PREDICTED = np.random.default_rng(1).integers(0, IDS, (6, 31))
GROUPINGS = (by_position(PREDICTED.shape, 4), by_frequency(PREDICTED, COUNTS, 4))


@pytest.fixture(scope="module")
def changes():
    """Changes of losses by step, float32 as in the files."""
    generator = np.random.default_rng(2)
    return {s: generator.normal(-0.1, 1, PREDICTED.shape).astype(np.float32) for s in (1, 2, 4)}


@pytest.fixture(scope="module")
def table(changes, tmp_path_factory):
    paths = [tmp_path_factory.mktemp("h5") / f"{name}.h5" for name in "ab"]
    for path, steps in zip(paths, ((4, 2), (1,)), strict=True):
        with writing(path) as file:
            for step in steps:
                write_delta_loss(
                    file, step, 2 * step, changes[step].astype(np.float64), resamples=100, seed=0
                )
    return breakdown("main-x", paths, GROUPINGS)


def test_groups_add_up_to_the_whole(table, changes):
    for (step, _), rows in table.groupby(["step", "by"]):
        delta = changes[step].astype(np.float64)
        assert rows["n"].sum() == delta.size
        assert (rows["n"] * rows["mean"]).sum() == pytest.approx(delta.sum(), rel=1e-12)
        assert (rows["n"] * rows["M"]).sum() == pytest.approx(abs(delta).sum(), rel=1e-12)
        cancelled = rows["n"] * rows["M"] * (1 - rows["D"])
        assert cancelled.sum() >= abs(delta.sum())  # what opposes between groups is left out
        assert cancelled.to_numpy() == pytest.approx(abs(rows["n"] * rows["mean"]).to_numpy())


def test_each_row_is_measured_on_the_tokens_of_its_group(table, changes):
    assert list(table["step"].unique()) == [1, 2, 4] and list(table["step_next"].unique()) == [
        2,
        4,
        8,
    ]
    for row in table.to_dict("records"):
        tokens = []
        for sequence, position in np.ndindex(PREDICTED.shape):
            share = COUNTS[PREDICTED[sequence, position]] / COUNTS.sum()
            value = position + 1 if row["by"] == "position" else share
            if row["low"] <= value <= row["high"]:
                tokens.append(float(changes[row["step"]][sequence, position]))
        assert row["n"] == len(tokens)
        assert row["mean"] == pytest.approx(sum(tokens) / len(tokens))
        assert row["M"] == pytest.approx(sum(map(abs, tokens)) / len(tokens))
        assert row["D"] == pytest.approx(1 - abs(sum(tokens)) / sum(map(abs, tokens)))


def test_positions_are_cut_where_context_grows_by_one_factor():
    grouping = by_position((2, 1023), 5)
    assert list(grouping.low) == [1, 4, 16, 64, 256]
    assert list(grouping.high) == [3, 15, 63, 255, 1023]
    for group, (low, high) in enumerate(zip(grouping.low, grouping.high, strict=True)):
        assert (grouping.group[:, low - 1 : high] == group).all()


@pytest.mark.parametrize(("positions", "groups"), [(1, 5), (3, 5), (15, 5), (63, 8)])
def test_short_sequences_have_fewer_groups_of_positions_and_none_is_empty(positions, groups):
    grouping = by_position((2, positions), groups)
    assert 1 <= len(grouping.low) <= groups
    assert (grouping.low <= grouping.high).all()
    assert list(grouping.low[1:]) == list(grouping.high[:-1] + 1)
    assert grouping.low[0] == 1 and grouping.high[-1] == positions


def test_groups_of_frequency_are_equally_large_where_counts_differ():
    predicted = np.random.default_rng(3).permutation(1000).reshape(10, 100)
    grouping = by_frequency(predicted, np.arange(1000) ** 2, 5)
    assert list(np.bincount(grouping.group.ravel())) == [200] * 5
    assert list(grouping.group[predicted < 200]) == [0] * 200
    assert (grouping.low[1:] > grouping.high[:-1]).all()


def test_tokens_of_one_count_stay_together():
    """Half of all tokens are one and the same: it takes the place of two groups and more."""
    predicted = np.where(np.arange(100) < 50, 0, np.arange(100)).reshape(4, 25)
    counts = np.where(np.arange(100) == 0, 500, np.arange(100))
    grouping = by_frequency(predicted, counts, 4)
    assert len(set(grouping.group[predicted == 0])) == 1
    assert list(np.bincount(grouping.group.ravel())) == [25, 25, 50]
    same = by_frequency(np.zeros((3, 5), int), np.array([7, 1]), 4)
    assert not same.group.any() and list(same.low) == list(same.high) == [7 / 8]


def corpus(tmp_path, sizes, length):
    paths, ids = [], []
    for name, size in enumerate(sizes):
        ids.append(np.random.default_rng(name).integers(0, IDS, size).astype("<u2"))
        paths.append(tmp_path / f"{name}.bin")
        ids[-1].tofile(paths[-1])
    return TokenFiles(paths, "uint16", length), ids


def test_tokens_are_counted_in_all_whole_sequences(tmp_path):
    tokens, ids = corpus(tmp_path, (803, 16, 405), 8)
    counted = Counter(int(i) for part in ids for i in part[: len(part) // 8 * 8])
    assert dict(enumerate(token_counts(tokens, IDS))) == {i: counted[i] for i in range(IDS)}


def test_of_a_large_corpus_a_part_is_counted_from_its_first_to_its_last_sequence(tmp_path):
    tokens, (ids,) = corpus(tmp_path, (8000,), 8)
    part = ids.reshape(1000, 8)[[0, 333, 666, 999]]
    assert list(token_counts(tokens, IDS, counted=39)) == list(
        np.bincount(part.ravel(), minlength=IDS)
    )
