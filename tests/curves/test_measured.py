"""Curves hold what the measurement files hold, by checkpoint."""

import h5py
import numpy as np
import pytest

from zsl.curves.measured import CURVES
from zsl.measurements.hdf5 import write_dataset, writing

NORM = 1.5
EVEN = np.array([-4.0, -2.0, 0.0, 2.0, 4.0])
ALPHA = np.unique([*EVEN, -3.7, -1.1, 1.1, NORM, 3.7])
FINE = np.linspace(-3, 3, 7)


def put(group, name, values, axes=()):
    write_dataset(group, name, np.asarray(values), units="1", axes=axes, description=name)


def losses(step):
    """A token's loss along the line: (alphas, sequences, positions)."""
    slope = np.random.default_rng(step).normal(size=(2, 3))
    return (5 + slope[None] * ALPHA[:, None, None] + ALPHA[:, None, None] ** 2).astype(np.float32)


@pytest.fixture
def cross_sections(tmp_path):
    """Two files with a checkpoint each, the later one first."""
    paths = [tmp_path / "b.h5", tmp_path / "a.h5"]
    for path, step in zip(paths, (8, 4), strict=True):
        with writing(path) as file:
            group = file.create_group(f"step{step:08d}")
            group.attrs["step"] = step
            put(group, "alpha", ALPHA, ("alphas",))
            put(group, "even_alpha", EVEN, ("even_alphas",))
            put(group, "cross_section", losses(step), ("alphas", "sequences", "positions"))
            put(group, "mean_cross_section", losses(step).mean((1, 2)), ("alphas",))
            put(group, "fine_alpha", FINE, ("fine_alphas",))
            put(group, "fine_mean_cross_section", 5 + FINE**2, ("fine_alphas",))
            for name in ("r_jvp", "r_fd", "D", "D_first_order", "sharpness", "sharpness_window"):
                put(group, name, step + len(name))
            put(group, "update_norm", NORM)
    return paths


def test_scalars_of_cross_sections(cross_sections):
    table = CURVES["cross_section"]("main-x", cross_sections)
    assert list(table["step"]) == [4, 8]
    assert list(table["r_jvp"]) == [9, 13] and list(table["window"]) == [20, 24]
    assert set(table["run"]) == {"main-x"}


def test_landscapes_join_both_grids_and_start_at_zero(cross_sections):
    table = CURVES["landscapes"]("main-x", cross_sections)
    for step, rows in table.groupby("step"):
        assert list(rows["alpha"]) == sorted({*ALPHA, *FINE})
        assert rows.loc[rows["alpha"] == 0, "delta_loss"].item() == 0
        at = losses(step).mean((1, 2)).astype(np.float64)
        for alpha, mean in zip(ALPHA, at, strict=True):
            row = rows[rows["alpha"] == alpha].iloc[0]
            assert row["mean_loss"] == pytest.approx(mean, abs=1e-6)
            assert row["delta_loss"] == pytest.approx(mean - at[ALPHA == 0].item(), abs=1e-6)


def test_token_landscapes_are_even_hold_the_step_and_keep_their_tokens(cross_sections):
    table = CURVES["token_landscapes"]("main-x", cross_sections, tokens=4, seed=3)
    drawn = {step: sorted(set(rows["token"])) for step, rows in table.groupby("step")}
    assert drawn[4] == drawn[8] and len(drawn[4]) == 4
    other = CURVES["token_landscapes"]("main-x", cross_sections, tokens=4, seed=4)
    assert set(other["token"]) != set(table["token"])
    for (step, token), rows in table.groupby(["step", "token"]):
        assert list(rows["alpha"]) == sorted([*EVEN, NORM])
        whole = losses(step).reshape(len(ALPHA), -1)[:, token].astype(np.float64)
        kept = np.isin(ALPHA, [*EVEN, NORM])
        truth = whole[kept] - whole[ALPHA == 0]
        np.testing.assert_allclose(rows["delta_loss"], truth, atol=6e-5)
        assert (rows["update_norm"] == NORM).all()


def test_all_tokens_are_drawn_if_there_are_fewer(cross_sections):
    table = CURVES["token_landscapes"]("main-x", cross_sections, tokens=1000, seed=0)
    assert sorted(set(table["token"])) == list(range(6))


def test_single_steps_have_a_row_per_batch(tmp_path):
    by_batch = [f"{n}_{s}" for s in ("train", "eval") for n in ("D", "M", "mean")]
    by_batch += ["update_norm", "grad_norm_train", "cos_train", "cos_eval"]
    with writing(tmp_path / "a.h5") as file:
        for step in (2, 1):
            group = file.create_group(f"step{step:08d}")
            group.attrs["step"] = step
            for place, name in enumerate(by_batch):
                put(group, name, step * 100 + place * 10 + np.arange(3.0), ("batches",))
            put(group, "grad_norm_eval", 7.0 + step)
            put(group, "M_noop", 0.5)
    table = CURVES["single_step"]("main-x", [tmp_path / "a.h5"])
    assert list(zip(table["step"], table["batch"], strict=True)) == [
        *((1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)),
    ]
    for place, name in enumerate(by_batch):
        assert list(table[name]) == [s * 100 + place * 10 + b for s in (1, 2) for b in range(3)]
    assert list(table["grad_norm_eval"]) == [8.0] * 3 + [9.0] * 3


def test_what_an_estimator_does_not_give_is_empty(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for step, given in ((1, ("D_grad", "C_g")), (2, ("C_g", "C_g_se"))):
            group = file.create_group(f"step{step:08d}")
            group.attrs["step"] = step
            for name in given:
                group[name] = float(step)
    table = CURVES["token_gradients"]("main-x", [tmp_path / "a.h5"])
    assert list(table["C_g"]) == [1, 2]
    assert table["D_grad"].isna().tolist() == [False, True]
    assert table["C_g_se"].isna().tolist() == [True, False]


def test_token_changes_count_every_token_where_its_change_lies(tmp_path):
    changes = np.random.default_rng(0).normal(-0.2, 0.4, (7, 30)).astype(np.float32)
    changes[0, :3] = 0, -1e-6, 12.345
    with writing(tmp_path / "a.h5") as file:
        for step in (4, 2):
            group = file.create_group(f"step{step:08d}")
            group.attrs["step"], group.attrs["step_next"] = step, 2 * step
            put(group, "delta_loss", changes * step, ("sequences", "positions"))
    table = CURVES["token_changes"]("main-x", [tmp_path / "a.h5"])
    assert list(table["step"].unique()) == [2, 4] and (table["count"] > 0).all()
    for step, rows in table.groupby("step"):
        scaled = (changes * step).astype(np.float64)
        assert rows["count"].sum() == changes.size and set(rows["step_next"]) == {2 * step}
        for row in rows.itertuples():
            assert row.count == ((scaled >= row.low) & (scaled < row.high)).sum()
        assert rows.loc[rows["high"] <= 0, "count"].sum() == (changes < 0).sum()
