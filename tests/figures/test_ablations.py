"""Figs 1, 15 and 23-29: the data behind them, computed again, and what is drawn of it."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.text import Text

from zsl.errors import ZslError
from zsl.figures import (
    fig01,
    fig02,
    fig03,
    fig15,
    fig23,
    fig24,
    fig25,
    fig26,
    fig27,
    fig28,
    fig29,
    style,
)
from zsl.figures.batch_sequence import batch_tokens

LABELS = ("14M", "37M", "78M", "144M")


def part(data, name, **values):
    kept = data["part"] == name
    for column, value in values.items():
        kept &= data[column] == value
    return data[kept]


def drawn(within, x, y):
    """The line through these points within a figure or axes, of which there must be one."""
    (line,) = [
        line for line in within.findobj(Line2D)
        if np.array_equal(line.get_xdata(), x) and np.array_equal(line.get_ydata(), y)
    ]  # fmt: skip
    return line


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize(("module", "suite"), [(fig26, "optimizer"), (fig29, "cosine")])
def test_figs_26_and_29_are_fig_2_of_another_suite(make, module, suite):
    study, main = make(suites=(suite,)), make()
    data, same = module.data(study), fig02.data(main)
    assert set(data["run"]) == {f"{suite}-{label}" for label in study.labels()}
    pd.testing.assert_frame_equal(data.drop(columns="run"), same.drop(columns="run"))


def test_fig_27_is_fig_3_of_another_suite(make):
    data, same = fig27.data(make(suites=("optimizer",))), fig03.data(make())
    pd.testing.assert_frame_equal(data.drop(columns="run"), same.drop(columns="run"))


@pytest.mark.parametrize(("module", "shown", "y"), [(fig23, "fit", "loss"), (fig25, "D", "D")])
def test_colour_is_batch_size_and_line_is_sequence_length(make, module, shown, y):
    """512 x 1024, 256 x 2048, 2048 x 1024 and 1024 x 2048."""
    study = make(labels=LABELS, suites=("batch_sequence",))
    data = module.data(study)
    figure = module.draw(data, study)
    found = []
    for run in study.runs:
        rows = part(data, shown, run=run.id)
        line = drawn(figure, rows["step"], rows[y])
        found.append((to_hex(line.get_color()), line.is_dashed()))
    assert [dashed for _, dashed in found] == [False, True, False, True]
    first, second, third, fourth = (colour for colour, _ in found)
    assert first == second != third == fourth
    shown_texts = texts(figure)
    for text in ("batch 512k", "batch 2M", "sequence 1,024", "sequence 2,048"):
        assert text in shown_texts


def test_fig_23_leaves_out_runs_whose_settings_are_not_known(make):
    data = fig23.data(make(imported=("37M",), suites=("batch_sequence",)))
    assert set(data["label"]) == {"14M", "78M"}


def test_fig_24_compares_runs_that_differ_in_one_setting(make):
    study = make(labels=LABELS, suites=("batch_sequence",))
    data = fig24.data(study)
    pairs = {
        (row.effect, row.run, row.baseline) for row in part(data, "eval_difference").itertuples()
    }
    a, b, c, d = (run.id for run in study.runs)
    assert pairs == {
        ("sequence length", b, a), ("sequence length", d, c),
        ("batch size", c, a), ("batch size", d, b),
    }  # fmt: skip
    above = part(data, "eval_loss").groupby("effect")["run"].unique()
    assert set(above["sequence length"]) == {a, b} and set(above["batch size"]) == {a, c}
    assert [batch_tokens(run) for run in study.runs] == [2**19, 2**19, 2**21, 2**21]


def test_fig_24_orders_by_size_not_by_configuration(make):
    study = make(labels=LABELS, suites=("batch_sequence",))
    turned = fig24.data(dataclasses.replace(study, runs=study.runs[::-1]))
    for data in (turned, fig24.data(study)):
        pairs = part(data, "eval_difference")[["run", "baseline"]].drop_duplicates()
        assert set(pairs["run"].str[15:] + " " + pairs["baseline"].str[15:]) == {
            "37M 14M", "144M 78M", "78M 14M", "144M 37M",
        }  # fmt: skip


def test_the_differences_of_fig_24_are_of_the_losses_at_one_step(make):
    study = make(labels=LABELS, suites=("batch_sequence",))
    data = fig24.data(study)
    for shown, kind, column in (
        ("eval_difference", "eval_loss", "eval_loss"),
        ("train_difference", "train_loss", "smoothed_train_loss"),
    ):
        for (run, baseline), rows in part(data, shown).groupby(["run", "baseline"]):
            both = [study.of_run(kind, id).set_index("step")[column] for id in (run, baseline)]
            expected = (both[0] - both[1]).loc[1:]
            assert rows["loss"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-12)
            assert list(rows["step"]) == list(expected.index)


def test_fig_24_shows_only_the_effect_that_the_runs_have(make):
    """512 x 1024, 256 x 2048: only the length differs; one run alone differs in nothing."""
    study = make(labels=LABELS[:2], suites=("batch_sequence",))
    data = fig24.data(study)
    assert set(data["effect"].dropna()) == {"sequence length"}
    assert len(fig24.draw(data, study).axes) == 2
    with pytest.raises(ZslError, match="batch size alone"):
        fig24.data(make(labels=LABELS[:1], suites=("batch_sequence",)))


def test_everything_in_fig_24_is_drawn_in_its_panel(make):
    study = make(labels=LABELS, suites=("batch_sequence",))
    data = fig24.data(study)
    figure = fig24.draw(data, study)
    keys = [(line, effect) for line in ("above", "below") for effect in fig24.EFFECTS]
    panels = dict(zip(keys, figure.axes, strict=True))
    for (shown, effect, _), rows in data.dropna(subset="effect").groupby(["part", "effect", "run"]):
        axes = panels["above" if shown == "eval_loss" else "below", effect]
        drawn(axes, rows["step"], rows["loss"])


def test_fig_28_is_the_difference_to_adamw_at_the_same_step(make):
    """The third run has C-AdamW, the first AdamW, the second Muon."""
    study = make(suites=("optimizer",))
    data = fig28.data(study)
    assert set(data["run"]) == {"optimizer-14M", "optimizer-78M"}
    cautious, baseline = (study.of_run("train_loss", f"optimizer-{x}") for x in ("78M", "14M"))
    rows = part(data, "difference")
    expected = cautious["smoothed_train_loss"] - baseline["smoothed_train_loss"]
    assert rows["loss"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-12)
    assert set(rows["baseline"]) == {"optimizer-14M"}
    figure = fig28.draw(data, study)
    for shown in ("smoothed", "difference"):
        for _, of_run in part(data, shown).groupby("run"):
            drawn(figure, of_run["step"], of_run["loss"])


def test_fig_28_needs_both_optimizers(make):
    with pytest.raises(ZslError, match="c_adamw"):
        fig28.data(make(labels=LABELS[:2], suites=("optimizer",)))


def test_fig_15_has_each_grid_of_its_suite(make):
    study = make(labels=LABELS[:2], suites=("main", "optimizer"))
    data = fig15.data(study)
    for panel, suite, grid in (
        ("a", "main", "decades"),
        ("b", "optimizer", "doublings"),
        ("c", "optimizer", "every"),
    ):
        for label in LABELS[:2]:
            written = study.of_run("step_grids", f"{suite}-{label}")
            written = written[(written["grid"] == grid) & (written["step"] > 0)]
            rows = part(data, "D", panel=panel, run=f"{suite}-{label}")
            for name in ("step", "step_next", "D", "D_low", "D_high"):
                assert list(rows[name]) == list(written[name])
    assert list(part(data, "tenfold")["step"]) == [10, 100, 1000, 10000]
    assert set(part(data, "doublings")["run"]) == {"main-14M", "main-37M"}


def test_fig_15_draws_every_change_and_says_how_far_checkpoints_are_apart(make):
    study = make(labels=LABELS[:2], suites=("main", "optimizer"))
    data = fig15.data(study)
    figure = fig15.draw(data, study)
    curves = data[data["part"].isin(["D", "doublings"])]
    for (shown, panel, _), rows in curves.groupby(["part", "panel", "run"]):
        line = drawn(figure.axes["abc".index(panel)], rows["step"], rows["D"])
        assert (line.get_marker() == "o") == (shown == "D")
    marked = [line.get_xdata()[0] for line in figure.axes[0].get_lines() if line.is_dashed()]
    assert marked == [10, 100, 1000, 10000]
    assert figure.axes[2].get_title().startswith(r"c) 1,000, 2,000, …: $\Delta t = 1000$")


def test_fig_15_says_which_checkpoints_are_missing(make, tmp_path):
    study = make(labels=LABELS[:1], suites=("main", "optimizer"))
    for path in study.files["step_grids"]:
        pd.read_csv(path).query("grid == 'doublings'").to_csv(path, index=False)
    data = fig15.data(study)
    assert set(part(data, "D")["panel"]) == {"b"}
    assert sum("no run keeps" in text for text in texts(fig15.draw(data, study))) == 2
    with pytest.raises(ZslError, match=r"checkpoints\.decades"):
        fig15.data(make(labels=LABELS[:1], suites=("cosine",)))


def test_fig_1_splits_changes_into_falls_and_rises(make):
    """What falls and what rises make the mean and the mean size (Eqs. 3, 5)."""
    study = make()
    for label in study.labels():
        rows = part(fig01.data(study), "D", label=label)
        written = study.of_run("delta_loss", f"main-{label}").set_index("step").loc[rows["step"]]
        fall, rise = rows["improved"].to_numpy(), rows["degraded"].to_numpy()
        assert rise - fall == pytest.approx(written["mean"].to_numpy())
        assert rise + fall == pytest.approx(written["M"].to_numpy())
        assert rows["D"].to_numpy() == pytest.approx(1 - abs(rise - fall) / (rise + fall))


def test_fig_1_shows_the_tokens_of_the_largest_run_before_and_after(make):
    """t_d of 78M is 4,600: 2,048 to 4,096 ends before it, 8,192 to 16,384 is the last."""
    study = make(imported=("37M",))
    data = fig01.data(study)
    for shown, step in (("before", 2048), ("after", 8192)):
        rows = part(data, shown)
        assert set(rows["run"]) == {"main-78M"} and set(rows["step"]) == {step}
        counts = study.of_run("token_changes", "main-78M").query("step == @step")["count"]
        assert rows["density"].to_numpy() == pytest.approx((counts * 16 / counts.sum()).to_numpy())
        assert (rows["density"] / 16).sum() == pytest.approx(1)
    assert set(data["label"]) == {"14M", "78M"}, "of imported runs nothing is shown"
    shown_texts = texts(fig01.draw(data, study))
    assert any("before deceleration" in text for text in shown_texts)
    assert any("after deceleration" in text for text in shown_texts)


def test_fig_1_writes_what_the_fits_say(make):
    study = make()
    fits = {fit["run"]: fit for fit in (json.loads(p.read_text()) for p in study.files["fits"])}
    data = fig01.data(study)
    for row in part(data, "t_d").itertuples():
        fit = fits[row.run]
        assert (row.step, row.loss, row.r_d) == (fit["t_d"], fit["L_d"], fit["r_d"])
        assert row.c_0 == fit["parameters"]["c_0"]
    shown_texts = texts(fig01.draw(data, study))
    for label, shown in (("14M", True), ("37M", False), ("78M", True)):
        found = [text for text in shown_texts if text.startswith(f"{label}: $L_d$")]
        assert len(found) == shown
        if found:
            fit = fits[f"main-{label}"]
            assert f"{fit['L_d']:.2f}" in found[0] and f"{fit['r_d']:.3f}" in found[0]


def test_fig_1_colours_falls_green_and_rises_red(make):
    study = make()
    data = fig01.data(study)
    bars = [
        bar for axes in fig01.draw(data, study).axes for bar in axes.patches
        if to_hex(bar.get_facecolor()) in (style.IMPROVES, style.DEGRADES)
    ]  # fmt: skip
    rows = data[data["part"].isin(["before", "after"])]
    assert len(bars) == len(rows)
    for bar in bars:
        falls = bar.get_x() < 0
        assert to_hex(bar.get_facecolor()) == (style.IMPROVES if falls else style.DEGRADES)
    assert sorted(bar.get_height() for bar in bars) == sorted(rows["density"])


def test_fig_1_without_fits_says_nothing_of_deceleration(make):
    study = make(without_fit=("14M", "37M", "78M"))
    data = fig01.data(study)
    assert list(part(data, "before")["step"].unique()) == [1]
    assert not any("deceleration" in text for text in texts(fig01.draw(data, study)))
