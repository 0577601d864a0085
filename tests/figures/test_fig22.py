"""Fig. 22 from curves that end at different steps, with the law they were made by."""

import numpy as np
import pandas as pd
import pytest

from zsl.config.parameters import n_parameters
from zsl.config.schema import Model
from zsl.errors import ZslError
from zsl.figures import fig22
from zsl.files import read_json, write_json
from zsl.fits.common import refit
from zsl.fits.result import fit_curve
from zsl.study import RunInfo, Study, write_csv

SIZES = {"a": 10**6, "b": 4 * 10**6, "c": 2 * 10**7, "d": 10**8}
STEPS = np.array([*range(10, 100), *range(100, 1000, 10), *range(1000, 20_001, 100)])


def law(N):
    return 9.0 * N**-0.06, 800 - 2e-6 * N, 1e-3 * N**0.2


@pytest.fixture
def make(tmp_path):
    """Curves with the exact law; the largest one ends earlier than the others."""

    def build(known=tuple(SIZES), labels=tuple(SIZES)):
        files, runs = {"fits": [], "train_loss": []}, []
        for label in labels:
            L_d, t_d, r_d = law(SIZES[label])
            last = 15_000 if label == "d" else 20_000
            steps = STEPS[STEPS <= last]
            loss = L_d * (t_d / steps) ** 0.3 * (1 + (steps / t_d) ** 5.0) ** ((0.3 - r_d) / 5)
            run = f"main-{label}"
            curve = pd.DataFrame({"run": run, "step": steps, "smoothed_train_loss": loss})
            settings = {"cut": 50, "k": 1.2, "imported": False, "note": ""}
            boot = {"replicates": 40, "block": 0.3, "seed": 0}
            path = tmp_path / f"fits/{run}.json"
            write_json(path, fit_curve(curve, run=run, **settings, **boot))
            files["fits"].append(path)
            files["train_loss"].append(tmp_path / f"{run}.csv")
            write_csv(files["train_loss"][-1], curve)
            runs.append(RunInfo(run, label, False, SIZES[label] if label in known else None))
        paths = {kind: tuple(found) for kind, found in files.items()}
        return Study("test", False, tuple(runs), paths, sizes=tuple(labels))

    return build


def test_the_law_is_fitted_at_the_common_T_and_predicts(make):
    data = fig22.data(make())
    common = data[data["part"] == "common"]
    assert set(common["T"]) == {15_000}
    for name, expected in zip(fig22.MEASURES, law(common["N"].to_numpy(float)), strict=True):
        assert common[name].to_numpy(float) == pytest.approx(expected, rel=1e-5)
    assert common["L_law"].to_numpy() == pytest.approx(common["L_T"].to_numpy(), rel=1e-3)
    assert common["L_left_out"].to_numpy() == pytest.approx(common["L_law"].to_numpy(), rel=1e-4)
    slopes = data[data["part"] == "parameters"].set_index("measure")["slope"]
    assert slopes["L_d"] == pytest.approx(-0.06, rel=1e-4)
    assert slopes["r_d"] == pytest.approx(0.2, rel=1e-3)


def test_runs_at_another_T_are_there_as_they_are(make):
    study = make()
    own = fig22.data(study).query("part == 'own'")
    assert list(own["label"]) == ["a", "b", "c"] and set(own["T"]) == {20_000}
    for _, row in own.iterrows():
        fit = refit(study.of_run("train_loss", row["run"]), T=20_000, cut=50)
        assert row["L_d"] == pytest.approx(fit.L_d) and row["t_d"] == pytest.approx(fit.t_d)


def test_a_run_of_unknown_size_is_left_out(make):
    data = fig22.data(make(known=("a", "b", "c")))
    assert "d" not in set(data["label"].dropna())
    with pytest.raises(ZslError, match="parameters of its imported runs"):
        fig22.data(make(known=()))


def test_two_sizes_have_points_but_no_law(make):
    study = make(labels=("a", "b"))
    data = fig22.data(study)
    assert set(data["part"]) == {"common"} and data["L_law"].isna().all()
    fig22.draw(data, study)


def test_the_panels_show_the_points_of_the_data(make):
    study = make()
    data = fig22.data(study)
    panels = fig22.draw(data, study).axes
    for axes, name in zip(panels, fig22.MEASURES, strict=False):
        drawn = {line.get_ydata()[0] for line in axes.get_lines() if line.get_marker() == "o"}
        assert drawn == set(data.loc[data["part"].isin(["common", "own"]), name])


def test_numbers_of_parameters_of_the_imported_models():
    """OLMo-1B is tied and OLMo-7B is not; SwiGLU halves 16,384 and 22,016 (1024 * 21.5)."""
    rows = 50_304
    small = Model(d_model=2048, n_heads=16, n_layers=16, mlp_ratio=8)
    assert n_parameters(small, rows, 2048) == 1_176_764_416
    d, hidden = 4096, 22_016
    assert 2 * rows * d + 32 * (4 * d * d + d * hidden + hidden // 2 * d) == 6_888_095_744


def test_doubtful_fits_are_left_out_of_the_law_and_marked(make):
    study = make()
    path = next(path for path in study.files["fits"] if path.name == "main-a.json")
    write_json(path, {**read_json(path), "T": 15_000, "doubts": {"rise": "the loss rises"}})
    data = fig22.data(study)
    others = fig22.data(make(labels=("b", "c", "d")))
    slopes = ["measure", "slope"]
    pd.testing.assert_frame_equal(
        data.loc[data["part"] == "parameters", slopes].reset_index(drop=True),
        others.loc[others["part"] == "parameters", slopes].reset_index(drop=True),
    )
    first = data[(data["part"] == "common") & (data["label"] == "a")].iloc[0]
    assert first["doubts"] == "the loss rises" and np.isnan(first["L_law"])
    figure = fig22.draw(data, study)
    assert "doubtful, not in the law" in [text.get_text() for text in figure.legends[0].get_texts()]
