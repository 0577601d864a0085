"""Small synthetic studies in the files that figures read."""

import math

import numpy as np
import pandas as pd
import pytest

from zsl.files import write_json
from zsl.study import RunInfo, Study, write_csv

NAMES = ("b", "c_0", "c_1", "log_d_1", "f_1")
STEPS = np.unique(np.round(np.geomspace(10, 20000, 90))).astype(int)
T_D = (5900.0, 5300.0, 4600.0, 2500.0, 4096.0)
"""t_d of the runs, smallest model first."""


def parameters(position):
    return 18 + position, 0.17 + 0.02 * position, -0.15 - 0.015 * position, T_D[position], 0.25


def loss(position, step):
    """Eq. 1 with a = 0, as it stands in the paper."""
    b, c_0, c_1, d_1, f_1 = parameters(position)
    return b * step**-c_0 * (1 + (step / d_1) ** (1 / f_1)) ** (-c_1 * f_1)


def fit(run, position, imported):
    b, c_0, c_1, t_d, f_1 = parameters(position)
    L_d, T = b * t_d**-c_0, int(STEPS[-1])
    values = (b, c_0, c_1, math.log(t_d), f_1)
    return {
        "run": run, "imported": imported, "note": "", "T": T, "cut": 100, "k": 1.2,
        "n_points": 50, "RSLE": 0.01, "L_d": L_d, "t_d": t_d, "r_d": c_0 + c_1,
        "L_hat_T": L_d * (t_d / T) ** (c_0 + c_1), "L_T": float(loss(position, T)),
        "parameters": dict(zip(NAMES, values, strict=True)),
        "errors": dict.fromkeys(NAMES, 0.01), "covariance": [[0.0] * 5] * 5,
    }  # fmt: skip


def changes(run, position):
    """Between checkpoints 0, 2^i and a last one that is no power of two."""
    kept = [0, *(1 << i for i in range(15)), 20000]
    first, last = np.array(kept[:-1]), np.array(kept[1:])
    D = 0.3 + 0.65 / (1 + (T_D[position] / (first + 1)) ** 1.5)
    M = 1.2 / (1 + first / 2000) ** 0.4 + 0.01 * position
    table = {"run": run, "step": first, "step_next": last, "D": D, "M": M}
    return pd.DataFrame({**table, "mean": -M * (1 - D), "abs_dL": M * (1 - D)})


def opposition(run, position):
    """Mean proxy D of checkpoints 0, 2^i."""
    kept = np.array([0, *(1 << i for i in range(15))])
    D = 0.97 - 0.02 * np.exp(-(((np.log(kept + 1) - 4) / 2) ** 2)) + 0.002 * position
    return pd.DataFrame({"run": run, "step": kept, "D_proxy": D, "D_proxy_with_embeddings": D / 2})


def histograms(run, position):
    """Counts of ten bins at the same checkpoints, the heavier to the left the later."""
    edges = np.linspace(0, 1, 11)
    frames = []
    for step in (0, *(1 << i for i in range(15))):
        counts = np.round(1000 * np.arange(1, 11) ** (6 / (1 + step / 4000))) + position
        bins = {"low": edges[:-1], "high": edges[1:], "count": counts.astype(int)}
        frames.append(pd.DataFrame({"run": run, "step": step, **bins}))
    return pd.concat(frames)


@pytest.fixture
def make(tmp_path):
    """Build a study; ``imported`` runs have a smoothed train loss and a fit only."""

    def build(labels=("14M", "37M", "78M"), imported=(), without_fit=()):
        kinds = ("train_loss", "delta_loss", "gradient_opposition", "gradient_histograms", "fits")
        files = {kind: [] for kind in kinds}
        runs = []
        noise = np.random.default_rng(0)

        def keep(kind, run, table):
            path = tmp_path / f"{kind}/{run}.csv"
            write_csv(path, table)
            files[kind].append(path)

        for position, label in enumerate(labels):
            run, known = f"main-{label}", label not in imported
            runs.append(RunInfo(run, label, not known, 10**7 if known else None))
            smoothed = loss(position, STEPS)
            raw = smoothed + noise.normal(0, 0.05, len(STEPS)) if known else np.nan
            columns = {"step": STEPS, "train_loss": raw, "smoothed_train_loss": smoothed}
            keep("train_loss", run, pd.DataFrame({"run": run, **columns}))
            if known:
                keep("delta_loss", run, changes(run, position))
                keep("gradient_opposition", run, opposition(run, position))
                keep("gradient_histograms", run, histograms(run, position))
            if label not in without_fit:
                path = tmp_path / f"fits/{run}.json"
                write_json(path, fit(run, position, not known))
                files["fits"].append(path)
        paths = {kind: tuple(reversed(found)) for kind, found in files.items()}
        return Study("test", False, tuple(runs), paths)

    return build
