"""Figs 7, 9, 10, 11, 14 and 16: first-order dynamics, gradients and single steps."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection

from zsl.errors import ZslError
from zsl.figures import fig07, fig09, fig10, fig11, fig14, fig16
from zsl.study import write_csv

POWERS = [1 << i for i in range(15)]


def read(study, kind, label):
    return study.of_run(kind, f"main-{label}").set_index("step")


def of(data, label):
    rows = data[(data["part"] == "curve") & (data["label"] == label)]
    assert list(rows["step"]) == POWERS
    return rows.set_index("step")


def changed(study, kind, label, change):
    """Write a run's curve again after ``change``."""
    (path,) = [path for path in study.files[kind] if path.stem == f"main-{label}"]
    table = pd.read_csv(path, float_precision="round_trip")
    change(table)
    write_csv(path, table)


def legend(drawing):
    return [text.get_text() for legend in drawing.legends for text in legend.get_texts()]


def decades(axes):
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log"
    return math.log10(high / low)


def test_the_factors_of_fig_7_make_the_interference_of_eq_9(make):
    study = make()
    data = fig07.data(study)
    for label in study.labels():
        rows, written = of(data, label), read(study, "token_gradients", label).loc[POWERS]
        D = 1 - rows["C_g"] * rows["ratio"]
        assert D.to_numpy() == pytest.approx(written["D_first_order"].to_numpy())


def test_the_error_of_fig_7s_ratio_is_that_of_its_denominator(make):
    """To first order: the ratio at C_ug - se and C_ug + se lies two errors apart."""
    study = make()
    rows, written = of(fig07.data(study), "78M"), read(study, "token_gradients", "78M").loc[POWERS]
    small = 1e-4 * written["C_ug_se"]
    apart = written["C_uG"] / (written["C_ug"] - small) - written["C_uG"] / (
        written["C_ug"] + small
    )
    assert (1e-4 * 2 * rows["ratio_se"]).to_numpy() == pytest.approx(apart.to_numpy(), rel=1e-6)
    assert of(fig07.data(study), "14M")[["C_g_se", "ratio_se"]].isna().all(axis=None)


def test_fig_7_draws_errors_where_there_are_any_on_equal_decades(make):
    study = make()
    data = fig07.data(study)
    drawing = fig07.draw(data, study)
    for axes, column in zip(drawing.axes, ("C_g", "ratio"), strict=True):
        (container,) = axes.containers
        (bars,) = container.lines[2]
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        rows = of(data, "78M")
        error = rows[f"{column}_se"]
        assert ends == pytest.approx(np.stack([rows[column] - error, rows[column] + error], axis=1))
        low, high = axes.get_ylim()
        assert low < data[column].min() and data[column].max() < high
    assert decades(drawing.axes[0]) == pytest.approx(decades(drawing.axes[1]))


def test_fig_9_shows_the_forward_difference_only_if_it_differs_visibly(make):
    study = make()
    assert "forward difference" in legend(fig09.draw(fig09.data(study), study))
    data = fig09.data(study)
    data["r_fd"] = data["r_jvp"] - 1e-4
    drawing = fig09.draw(data, study)
    assert "forward difference" not in legend(drawing)
    assert len(drawing.axes[0].get_lines()) == 3


@pytest.mark.parametrize(("lowest", "floor"), [(0.95, 0.9), (0.7, 0.5), (0.3, 0), (-0.2, -1)])
def test_the_axis_of_fig_9_holds_all_correlations(make, lowest, floor):
    study = make()
    data = fig09.data(study)
    data["r_jvp"] = data["r_fd"] = np.where(data["step"] == 4, lowest, 0.99)
    assert fig09.draw(data, study).axes[0].get_ylim() == (floor, 1)


def test_fig_10_is_logarithmic_only_if_all_values_are_positive(make):
    study = make()
    axes = fig10.draw(fig10.data(study), study).axes[0]
    assert axes.get_yscale() == "log"

    def bend(table):
        table.loc[table["step"] == 2, "sharpness"] = -0.003

    changed(study, "cross_section", "37M", bend)
    data = fig10.data(study)
    axes = fig10.draw(data, study).axes[0]
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "symlog"
    assert low < -0.003 and data["sharpness"].max() < high


@pytest.mark.parametrize("tokens", ["eval", "train"])
def test_the_terms_of_fig_11_are_means_over_batches_and_eq_11(make, tokens):
    study = make(fig11_gradient=tokens)
    data = fig11.data(study)
    for label in study.labels():
        rows, written = of(data, label), read(study, "single_step", label)
        for step in POWERS:
            batches = written.loc[step]
            u, g, cos = (
                batches[name].to_numpy()
                for name in ("update_norm", f"grad_norm_{tokens}", f"cos_{tokens}")
            )
            drawn = rows.loc[step, ["update_norm", "grad_norm", "cos", "first_order", "batches"]]
            expected = [u.mean(), g.mean(), cos.mean(), (u * g * cos).mean(), 3]
            assert drawn.to_list() == pytest.approx(expected)


def test_fig_11_uses_evaluation_tokens_unless_told_otherwise(make):
    study = make()
    assert fig11.data(study).equals(fig11.data(make(fig11_gradient="eval")))


def test_fig_11_marks_values_of_the_wrong_sign_and_draws_all_others(make):
    study = make()
    data = fig11.data(study)
    drawing = fig11.draw(data, study)
    for axes, (column, sign) in zip(
        drawing.axes,
        [("first_order", -1), ("update_norm", 1), ("grad_norm", 1), ("cos", -1)],
        strict=True,
    ):
        joined, marked = set(), set()
        for line in axes.get_lines():
            points = set(zip(line.get_xdata(), line.get_ydata(), strict=True))
            points = {point for point in points if not math.isnan(point[1])}
            hollow = line.get_markerfacecolor() == "white" and line.get_linestyle() == "None"
            marked, joined = (marked | points, joined) if hollow else (marked, joined | points)
        rows = data[data["part"] == "curve"]
        values = sign * rows[column]
        wrong = values < 0
        assert joined == set(zip(rows["step"][~wrong], values[~wrong], strict=True))
        assert marked == set(zip(rows["step"][wrong], -values[wrong], strict=True))
        assert {step for step, _ in marked} == ({1024, 2048} if sign < 0 else set())
    assert "loss degrades" in legend(drawing)
    good = make(fig11_gradient="train")
    assert "loss degrades" not in legend(fig11.draw(fig11.data(good), good))


def test_the_panels_of_fig_11_share_the_length_of_a_power_of_ten(make):
    study = make()
    data = fig11.data(study)
    drawing = fig11.draw(data, study)
    lengths = [decades(axes) for axes in drawing.axes]
    assert lengths == pytest.approx([lengths[0]] * 4)
    for axes, column in zip(drawing.axes, fig11.PANELS, strict=True):
        low, high = axes.get_ylim()
        sizes = data[column].abs()
        assert low < sizes.min() and sizes.max() < high


def test_fig_14_compares_true_and_proxy_of_the_same_tokens(make):
    """The third run's tokens are sampled, which gives no D per coordinate."""
    study = make()
    data = fig14.data(study)
    assert set(data["label"]) == {"14M", "37M"}
    drawing = fig14.draw(data, study)
    drawn = [(line.get_color(), list(line.get_ydata())) for line in drawing.axes[0].get_lines()]
    for label in ("14M", "37M"):
        true = list(read(study, "token_gradients", label).loc[POWERS, "D_grad"])
        proxy = list(read(study, "token_gradients", label).loc[POWERS, "D_proxy"])
        (colour,) = {colour for colour, values in drawn if values == true}
        assert (colour, proxy) in drawn
    assert len(drawn) == 4 and {"true", "proxy"} < set(legend(drawing))


def test_fig_14_says_what_to_do_if_there_is_no_true_d(make):
    study = make()

    def empty(table):
        table["D_grad"] = np.nan

    for label in ("14M", "37M"):
        changed(study, "token_gradients", label, empty)
    with pytest.raises(ZslError, match="estimator 'exact'"):
        fig14.data(study)


def test_the_bands_of_fig_16_reach_from_the_smallest_to_the_largest_batch(make):
    study = make()
    data = fig16.data(study)
    drawing = fig16.draw(data, study)
    for axes, D in zip(drawing.axes, ("D_train", "D_eval"), strict=True):
        bands = [a for a in axes.collections if isinstance(a, FillBetweenPolyCollection)]
        assert len(bands) == 3
        for band, label in zip(bands, study.labels(), strict=True):
            written = read(study, "single_step", label)[D]
            rows = of(data, label)
            for step in POWERS:
                assert rows.loc[step, D] == pytest.approx(written.loc[step].mean())
                outline = band.get_paths()[0].vertices
                ends = outline[outline[:, 0] == step, 1]
                assert {ends.min(), ends.max()} == {
                    written.loc[step].min(),
                    written.loc[step].max(),
                }


def test_a_batch_whose_losses_do_not_change_has_no_d_in_fig_16(make):
    """D of zeros is undefined and written as an empty field."""
    study = make()

    def still(table):
        table.loc[(table["step"] == 8) & (table["batch"] == 0), "D_train"] = np.nan

    changed(study, "single_step", "14M", still)
    row = of(fig16.data(study), "14M").loc[8]
    assert row["D_train"] == pytest.approx((0.3 + 0.6) / 2)
    assert (row["D_train_min"], row["D_train_max"]) == pytest.approx((0.3, 0.6))
