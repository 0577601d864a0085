"""Each claim's value, on curves whose numbers can be told by hand. t_d is 100."""

import importlib

import numpy as np
import pandas as pd
import pytest

from zsl.study import Study, write_csv

STEPS = np.array([0, 1, 8, 64, 128, 512])
"""Before t_d: 1, 8 and 64; after it: 128 and 512."""


@pytest.fixture
def value(tmp_path):
    """The values of a figure's claims, from curves by kind."""

    def compute(figure, **curves):
        files = {}
        for kind, columns in curves.items():
            files[kind] = (tmp_path / f"{kind}.csv",)
            write_csv(files[kind][0], pd.DataFrame({"run": "main-a", **columns}))
        study = Study("x", False, (), files)
        claims = importlib.import_module(f"zsl.figures.{figure}").CLAIMS
        return [claim.value(study, "main-a", 100.0) for claim in claims]

    return compute


def test_fig_3(value):
    t = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
    D = np.array([0.5, 0.2, 0.2, 0.2, 0.2, 0.2, 0.4, 0.6, 0.8, 0.9, 0.9])
    rise, share = value("fig03", delta_loss={"step": t, "step_next": 2 * t, "D": D})
    assert rise == pytest.approx((0.6 + 0.8 + 0.9 + 0.9) / 4 - 0.2)
    at_400 = 0.8 + 0.1 * np.log2(400 / 256)
    assert share == pytest.approx((at_400 - 0.2) / 0.7)  # at 25 the curve is still flat


def test_fig_4(value):
    D = [0.99, 0.97, 0.95, 0.96, 0.98, 0.94]
    (excess,) = value("fig04", gradient_opposition={"step": STEPS, "D_proxy": D})
    assert excess == pytest.approx(0.98 - 0.97)


def test_fig_7(value):
    C_g = np.array([0.9, 0.2, 0.4, 0.2, 0.05, 0.0125])
    ratio = np.array([9, 2.0, 2.0, 1.0, 1.0, 1.0])  # 1 - D is largest at step 8
    columns = {"step": STEPS, "C_g": C_g, "C_uG": 0.1 * ratio, "C_ug": 0.1}
    fall, share = value("fig07", token_gradients=columns)
    assert fall == pytest.approx(1 - 0.03125 / 0.4)
    of_C_g, of_ratio = np.log(0.4 / 0.025), np.log(2)  # .025 is the geometric mean after t_d
    assert share == pytest.approx(of_C_g / (of_C_g + of_ratio))


def test_fig_7_has_no_share_where_interference_falls(value):
    columns = {"step": STEPS, "C_g": 0.1 * (1 + STEPS), "C_uG": 0.2, "C_ug": 0.1}
    assert np.isnan(value("fig07", token_gradients=columns)[1])


def test_fig_7_has_no_share_without_a_checkpoint_before_t_d(value):
    columns = {"step": [128, 512], "C_g": [0.2, 0.1], "C_uG": 0.2, "C_ug": 0.1}
    assert np.isnan(value("fig07", token_gradients=columns)[1])


def test_fig_9(value):
    r = [0.1, 0.2, 0.3, 0.4, 0.97, 0.95]
    assert value("fig09", cross_section={"step": STEPS, "r_jvp": r}) == pytest.approx([0.95])


def test_fig_10(value):
    sharpness = [9.0, 1.0, 4.0, 2.0, 1.0, 2.0]
    columns = {"step": STEPS, "sharpness": sharpness}
    assert value("fig10", cross_section=columns) == pytest.approx([1 - 1.5 / 4])


def test_fig_14(value):
    columns = {
        "step": STEPS,
        "D_grad": [0.1, 0.91, 0.92, 0.93, 0.95, 0.94],
        "D_proxy": [0.9, 0.90, 0.91, 0.92, 0.93, 0.94],
    }
    likeness, excess = value("fig14", token_gradients=columns)
    assert likeness == pytest.approx(0.9)  # the last two of five change places
    assert excess == pytest.approx((0.01 + 0.01 + 0.01 + 0.02 + 0.00) / 5)
