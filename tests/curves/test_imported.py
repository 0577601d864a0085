"""Curves of others are checked row by row, smoothed if raw, and say what was left out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zsl.config.imported import ImportedCurve
from zsl.curves.imported import imported_curve, published_curve
from zsl.curves.smoothing import lsma
from zsl.curves.train_loss import train_loss_curve
from zsl.errors import ZslError
from zsl.fits.bnsl import fit_bnsl

HERE = Path(__file__).parent
W_AND_B = {"columns": {"step": "Step", "loss": "my-run - train/loss"}}


def curve(path, first=10, **settings):
    source = ImportedCurve.model_validate({"path": str(path), "values": "raw", **settings})
    return imported_curve("main-own", source, Path(path), k=1.2, first=first)


@pytest.fixture
def logged(tmp_path):
    """A CSV of rows (step, loss)."""

    def written(rows):
        path = tmp_path / "a.csv"
        path.write_text("step,loss\n" + "".join(f"{step},{loss}\n" for step, loss in rows))
        return path

    return written


@pytest.fixture
def authors(tmp_path):
    """The authors' file of a model ``own`` with points (step, loss)."""

    def written(*points):
        x, y = zip(*points, strict=True)
        path = tmp_path / "bnsl_fit.json"
        path.write_text(json.dumps({"own": {"smoothed_loss": {"x": x, "y": y}}}))
        return path

    return written


def test_a_log_of_every_step_gives_the_curve_of_a_run_trained_here(tmp_path):
    steps = np.arange(1, 3001)
    losses = 8 * steps**-0.1 + np.random.default_rng(0).normal(0, 0.1, len(steps))
    table = pd.DataFrame({"step": steps, "train_loss": losses})
    table.to_csv(tmp_path / "steps.csv", index=False)
    own = train_loss_curve("main-own", [tmp_path / "steps.csv"], 1.2, 10)
    made, note, _ = curve(tmp_path / "steps.csv", columns={"loss": "train_loss"})
    pd.testing.assert_frame_equal(made, own, check_exact=True)
    assert note == "raw losses, smoothed here by LSMA with k = 1.2"


def test_smoothed_curves_are_taken_as_they_are(authors):
    path = authors((10, 5.5), (11, 5.25))
    made, note, _ = curve(path, format="authors", values="smoothed", note="From afar")
    assert made["step"].tolist() == [10, 11]
    assert made["smoothed_train_loss"].tolist() == [5.5, 5.25]
    assert made["train_loss"].isna().all()
    assert note == "From afar; smoothed before it was imported"
    assert published_curve("own", path)["smoothed_train_loss"].tolist() == [5.5, 5.25]


def test_raw_losses_in_the_authors_form_are_smoothed(authors):
    made, note, _ = curve(authors((10, 5.5), (11, 5.25)), format="authors")
    assert made["train_loss"].tolist() == [5.5, 5.25]
    assert made["smoothed_train_loss"].tolist() == [5.5, 5.375]
    assert "raw losses" in note


@pytest.mark.parametrize("values", ["raw", "smoothed"])
def test_a_last_step_that_stands_twice_counts_once(authors, values):
    """As in the authors' curve of OLMo-7B."""
    path = authors((10, 5.5), (11, 5.25), (20, 5.0), (20, 5.0))
    made, note, facts = curve(path, format="authors", values=values)
    once, _, _ = curve(authors((10, 5.5), (11, 5.25), (20, 5.0)), format="authors", values=values)
    pd.testing.assert_frame_equal(made, once)
    assert facts.repeated == 1
    assert note.endswith("; of own, 1 row repeating a step with the same loss counted once")


@pytest.mark.parametrize("form", ["authors", "csv"])
def test_two_losses_at_one_step_are_an_error_with_step_and_both(authors, logged, form):
    points = [(10, 5.5), (20, 5.0), (20, 5.25)]
    path = authors(*points) if form == "authors" else logged(points)
    said = "line 4: .*loss 5.25, and 5 in line 3" if form == "csv" else "point 3: .*5 in point 2"
    with pytest.raises(ZslError, match=f"{said}.*repeated: later"):
        curve(path, format=form)
    with pytest.raises(ZslError, match=r"step 20 has the loss 5\.25, and 5 "):
        curve(path, format=form)
    made, _, facts = curve(path, format=form, repeated="later")
    assert made["train_loss"].tolist() == [5.5, 5.25] and facts.superseded == 1


def test_of_a_run_that_was_resumed_the_later_rows_are_kept(logged):
    """It went on from step 30, logging elsewhere: what stood after 30 is of another run."""
    rows = [(10, 5.0), (20, 4.9), (30, 4.8), (40, 4.7), (50, 4.6)]
    again = [(30, 4.8), (35, 4.79), (45, 4.65), (50, 4.6), (60, 4.5)]
    path = logged(rows + again)
    with pytest.raises(ZslError, match=r"line 8: step 35 after step 50; .* repeated: later"):
        curve(path)
    made, note, facts = curve(path, repeated="later")
    assert made["step"].tolist() == [10, 20, 30, 35, 45, 50, 60]
    assert (facts.repeated, facts.superseded) == (2, 1)
    assert "1 row logged again after a resume left out" in note


def test_a_nan_is_left_out_of_its_windows_and_counted(logged):
    steps = np.arange(1, 1001)
    losses = 8 * steps**-0.1
    spoilt = [(s, "nan" if s == 500 else loss) for s, loss in zip(steps, losses, strict=True)]
    made, note, facts = curve(logged(spoilt), first=1000)
    known = steps != 500
    expected = lsma(steps[known], losses[known], 1.2)[np.searchsorted(steps[known], made["step"])]
    np.testing.assert_allclose(made["smoothed_train_loss"], expected, rtol=1e-13)
    assert facts.not_finite == 1 and "1 row without a finite loss left out" in note
    _, _, clean = curve(logged(zip(steps, losses, strict=True)))
    assert clean.not_finite == 0 and clean.said() == []


def test_empty_rows_are_not_nan_and_step_0_is_in_no_window():
    made, _, facts = curve(HERE / "own.csv", **W_AND_B)
    assert (facts.without_loss, facts.not_finite, facts.before_the_first) == (10, 0, 1)
    assert (facts.losses, facts.interval) == (400, 50)
    assert made["smoothed_train_loss"].iloc[0] == made["train_loss"].iloc[0], "not of step 0"


def test_the_example_is_fitted_as_it_was_made():
    """L_d = 3.5 at t_d = 2,000, r_d = 0.03; smoothing looks back by a part of t."""
    made, _, _ = curve(HERE / "own.csv", **W_AND_B)
    used = made[made["step"] > 100]
    fit = fit_bnsl(used["step"].to_numpy(), used["smoothed_train_loss"].to_numpy())
    assert len(used) > 100 and fit.break_inside
    assert fit.L_d == pytest.approx(3.5, abs=0.02) and fit.r_d == pytest.approx(0.03, abs=0.002)
    assert 2000 / 1.2 < fit.t_d < 2000 * 1.2


def test_a_trainers_losses_are_said_to_be_means():
    _, note, facts = curve(HERE / "trainer_state.json")
    assert facts.interval == 16 and facts.without_loss == 0
    said = "raw losses logged every 16 steps (each the mean over the steps since the one before)"
    assert said in note


@pytest.mark.parametrize("step", ["10", "10.0", "1e1", "1.0E+01"])
def test_whole_numbers_may_be_written_as_floats(logged, step):
    assert curve(logged([(step, 5)]))[0]["step"].tolist() == [10]


@pytest.mark.parametrize(
    ("step", "loss", "said"),
    [
        ("12.5", "4", "step '12.5' is no whole number; expected the number of optimizer steps"),
        ("0.0035", "4", "step '0.0035' is no whole number"),
        ("1.000", "4", "step '1.000' is no whole number; .* without separators"),
        ("", "4", "step '' is no whole number"),
        ("nan", "4", "step 'nan' is no whole number"),
        ("ten", "4", "step 'ten' is no whole number"),
        ("-1", "4", "step '-1' is not within 0 and 99,999,999"),
        ("137438953472", "4", "step '137438953472' is not within"),
        ("20", "4.1.2", "loss '4.1.2' is no number"),
        ("20", "0.0", "loss '0.0' is not above 0, and has no logarithm"),
        ("20", "-4", "loss '-4' is not above 0"),
    ],
)
def test_the_first_bad_row_is_named_with_file_line_and_value(logged, step, loss, said):
    with pytest.raises(ZslError, match=rf"a\.csv, line 3: {said}"):
        curve(logged([(10, 5), (step, loss), ("x", "y")]))


def test_separators_of_thousands_are_refused_and_decimal_commas_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('step,loss\n"1,000",5\n')
    with pytest.raises(ZslError, match=r"line 2: step '1,000' .* without separators"):
        curve(path)
    path.write_text("step;loss\n10;5,25\n1000;5\n")
    assert curve(path)[0]["train_loss"].tolist() == [5.25, 5.0]


@pytest.mark.parametrize("rows", [[], [(1, "")], [(0, 5)], [(5, "nan")]])
def test_a_curve_of_nothing_is_an_error(logged, rows):
    with pytest.raises(ZslError, match=r"a\.csv: has no (losses|finite loss at a step after 0)"):
        curve(logged(rows))


def test_the_authors_curves_are_unchanged_by_reading(published):
    """Their grid is kept point by point."""
    for name, model in json.loads((published / "bnsl_fit.json").read_text()).items():
        settings = {"format": "authors", "values": "smoothed", "name": name}
        made, _, _ = curve(published / "bnsl_fit.json", **settings)
        points = dict(zip(*(model["smoothed_loss"][axis] for axis in "xy"), strict=True))
        assert dict(zip(made["step"], made["smoothed_train_loss"], strict=True)) == points
