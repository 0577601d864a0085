"""The data behind the figures, computed again by other means."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zsl.errors import ZslError
from zsl.figures import fig02, fig03, fig05, fig12, fig13
from zsl.figures.render import module
from zsl.study import RunInfo, Study, write_csv


def of(data, part, label):
    return data[(data["part"] == part) & (data["label"] == label)]


def fits(study):
    found = [json.loads(path.read_text()) for path in study.files["fits"]]
    return {fit["run"].split("-")[1]: fit for fit in found}


def test_fig_2_draws_eq_1_at_the_fitted_steps(make):
    study = make()
    data = fig02.data(study)
    for label, fit in fits(study).items():
        p = fit["parameters"]
        curve = of(data, "fit", label)
        t = curve["step"].to_numpy()
        bend = (1 + (t / np.exp(p["log_d_1"])) ** (1 / p["f_1"])) ** (-p["c_1"] * p["f_1"])
        assert curve["loss"].to_numpy() == pytest.approx(p["b"] * t ** -p["c_0"] * bend, rel=1e-10)
        assert t.min() > fit["cut"] and t.max() == fit["T"]
        smoothed = study.of_run("train_loss", fit["run"])
        assert list(t) == [s for s in smoothed["step"] if s > 100]
        drawn = of(data, "smoothed", label)["loss"]
        assert list(drawn) == list(smoothed["smoothed_train_loss"])


def test_the_power_laws_of_fig_2_meet_at_t_d_and_have_the_slopes_of_the_fit(make):
    study = make()
    data = fig02.data(study)
    for label, fit in fits(study).items():
        ends = [of(data, f"segment_{i}", label) for i in (1, 2)]
        assert ends[0].iloc[-1][["step", "loss"]].tolist() == [fit["t_d"], fit["L_d"]]
        assert ends[1].iloc[0][["step", "loss"]].tolist() == [fit["t_d"], fit["L_d"]]
        slopes = [np.diff(np.log(s["loss"])) / np.diff(np.log(s["step"])) for s in ends]
        p = fit["parameters"]
        assert slopes[0] == pytest.approx(-p["c_0"]) and slopes[1] == pytest.approx(-fit["r_d"])
        assert ends[1].iloc[-1]["loss"] == pytest.approx(fit["L_hat_T"])


def test_fig_2_draws_a_run_without_a_fit_as_a_curve_only(make):
    data = fig02.data(make(without_fit=("37M",)))
    assert set(data.loc[data["label"] == "37M", "part"]) == {"smoothed"}


def test_a_doubtful_fit_has_neither_power_laws_nor_a_place_in_the_span(make):
    study = make(doubtful=("14M",))
    data = fig02.data(study)
    assert set(data.loc[data["label"] == "14M", "part"]) == {"smoothed", "fit"}
    assert set(fig03.data(study).query("part == 't_d'")["label"]) == {"37M", "78M"}
    for figure in (fig02, fig03):
        figure.draw(figure.data(make(doubtful=("14M", "37M", "78M"))), study)


def test_fig_2_marks_imported_runs(make):
    data = fig02.data(make(imported=("78M",)))
    assert set(data.loc[data["imported"], "label"]) == {"78M"}
    assert not of(data, "smoothed", "78M").empty


POWERS = [1 << i for i in range(15)]
OF_D_AND_M = ["step_next", "D", "D_low", "D_high"]


@pytest.mark.parametrize(
    ("figure", "part", "kind", "columns"),
    [
        ("fig03", "D", "delta_loss", OF_D_AND_M),
        ("fig04", "D_proxy", "gradient_opposition", ["D_proxy"]),
        ("fig05", "trajectory", "delta_loss", [*OF_D_AND_M, "M", "M_low", "M_high", "abs_dL"]),
        ("fig07", "curve", "token_gradients", ["C_g", "C_uG", "C_ug", "C_g_se", "C_g_floor"]),
        ("fig09", "curve", "cross_section", ["update_norm", "r_jvp", "r_fd"]),
        ("fig10", "curve", "cross_section", ["sharpness", "window"]),
    ],
)
def test_the_data_are_the_rows_of_the_curves_after_step_0(make, figure, part, kind, columns):
    """Of changes, those from t to 2t, which the last one is not."""
    study = make(labels=("14M", "37M", "78M", "big"), imported=("big",))
    data = module(figure).data(study)
    steps = POWERS[:-1] if kind == "delta_loss" else POWERS
    for label in ("14M", "37M", "78M"):
        rows = of(data, part, label).set_index("step")
        written = study.of_run(kind, f"main-{label}").set_index("step").loc[steps]
        pd.testing.assert_frame_equal(
            rows[columns],
            written[columns],
            check_dtype=False,
            check_index_type=False,
            check_exact=True,
        )
    assert of(data, part, "big").empty


def test_fig_3_has_the_runs_in_the_order_of_the_study(make):
    assert list(fig03.data(make())["label"].unique()) == ["14M", "37M", "78M"]


def test_the_span_comes_from_the_fits_of_the_runs_that_are_drawn(make):
    study = make(labels=("14M", "37M", "78M", "big"), imported=("big",))
    for figure in (fig03, fig05):
        steps = figure.data(study).query("part == 't_d'").set_index("label")["step"]
        assert steps.to_dict() == pytest.approx({"14M": 5900, "37M": 5300, "78M": 4600})
    assert "big" in set(fig02.data(study).query("part == 't_d'")["label"])


def test_without_intervals_that_double_figs_3_and_5_say_so(make, tmp_path):
    path = tmp_path / "other.csv"
    row = {"run": "main-a", "step": 3, "step_next": 4, "D": 0.1, "M": 1, "mean": -1, "abs_dL": 1}
    write_csv(path, pd.DataFrame([row]))
    study = Study("x", False, (RunInfo("main-a", "a", False, 1),), {"delta_loss": (path,)})
    with pytest.raises(ZslError, match="powers of two"):
        fig03.data(study)


def test_the_lines_of_fig_5_have_equal_loss_changes_by_eq_6(make):
    data = fig05.data(make())
    lines = data[data["part"] == "contour"]
    assert lines["abs_dL"].nunique() >= 3 and lines["D"].between(0, 1).all()
    assert (lines["M"] * (1 - lines["D"])).to_numpy() == pytest.approx(lines["abs_dL"].to_numpy())


def test_the_dotted_part_of_fig_5_ends_at_the_change_that_holds_t_d(make):
    study = make(labels=("14M", "37M", "78M", "big", "at"))
    data = fig05.data(study)
    for label, fit in fits(study).items():
        points = of(data, "trajectory", label)
        (start,) = points.loc[points["dotted"].astype(bool), "step"]
        end = 2 * start
        assert end <= fit["t_d"] < 2 * end
    starts = data[data["dotted"].fillna(False).astype(bool)].set_index("label")["step"].to_dict()
    assert starts == {"14M": 2048, "37M": 2048, "78M": 2048, "big": 1024, "at": 2048}


def test_fig_13_is_the_logged_and_the_smoothed_loss_of_the_runs_made_here(make):
    study = make(imported=("37M",))
    data = fig13.data(study)
    assert list(data["label"].unique()) == ["14M", "78M"]
    for label in ("14M", "78M"):
        written = study.of_run("train_loss", f"main-{label}")
        for name in ("step", "train_loss", "smoothed_train_loss"):
            assert list(data.loc[data["label"] == label, name]) == list(written[name])
    with pytest.raises(ZslError, match="logged"):
        fig13.data(make(labels=("14M",), imported=("14M",)))


@pytest.fixture(scope="module")
def published():
    """The authors' published results, where a developer has them."""
    folder = os.environ.get("ZSL_PUBLISHED_DIR")
    if not folder:
        pytest.skip("ZSL_PUBLISHED_DIR is not set")
    return Path(folder)


def test_the_published_changes_give_the_dotted_part_of_the_paper(published, tmp_path):
    table = pd.read_csv(published / "loss_intrf_dt_t.csv")
    wide = table.pivot(index=["model", "step"], columns="quantity", values="value").reset_index()
    runs, files, paths = [], [], []
    ends = dict.fromkeys(fig05.ENDS, np.nan)
    for model, rows in wide.groupby("model", sort=False):
        rows = rows.assign(run=model, step_next=2 * rows["step"], mean=-rows["abs_dL"], **ends)
        files.append(tmp_path / f"{model}.csv")
        write_csv(files[-1], rows)
        paths.append(tmp_path / f"{model}.json")
        paths[-1].write_text(json.dumps({"run": model, "t_d": 5877.0, "doubts": {}}))
        runs.append(RunInfo(model, model, False, 1))
    study = Study("p", False, tuple(runs), {"delta_loss": tuple(files), "fits": tuple(paths)})
    data = fig05.data(study)
    dotted = data[data["dotted"].fillna(False).astype(bool)]
    assert len(dotted) == 6 and set(dotted["step"]) == {2048}
    at = fig03.data(study).query("part == 'D' and step == 131072")["D"]
    assert len(at) == 6 and (at > 0.92).all()


def test_fig_12_draws_densities_at_the_checkpoints_nearest_to_deceleration(make):
    """t_d is 5,900, 5,300 and 4,600: 4,096 and 8,192 are next to it, 2,048 and 16,384 follow."""
    study = make()
    data = fig12.data(study)
    assert sorted(set(data["step"])) == [2048, 4096, 8192, 16384]
    for (run, step), rows in data.groupby(["run", "step"]):
        curve = study.of_run("gradient_histograms", run)
        counts = curve.loc[curve["step"] == step, "count"].to_numpy()
        width = 0.1
        assert rows["density"].to_numpy() == pytest.approx(counts / counts.sum() / width)
        assert (rows["density"] * width).sum() == pytest.approx(1)


def test_fig_12_needs_no_fit(make):
    data = fig12.data(make(without_fit=("14M", "37M", "78M")))
    assert sorted(set(data["step"])) == [2048, 4096, 8192, 16384], "the last ones"
