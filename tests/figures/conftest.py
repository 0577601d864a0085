"""Small synthetic studies in the files that figures read."""

import itertools
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
    ends = {"D_low": D - 0.02, "D_high": D + 0.01, "M_low": 0.9 * M, "M_high": 1.2 * M}
    return pd.DataFrame({**table, "mean": -M * (1 - D), "abs_dL": M * (1 - D), **ends})


def breakdowns(run, position):
    """Three groups each; after step 64 the second degrades while the others improve."""
    groups = {
        "position": ((1, 1, 10), (2, 7, 60), (8, 31, 240)),
        "frequency": ((0, 2e-4, 103), (3e-4, 5e-3, 104), (6e-3, 0.07, 103)),
    }
    frames = []
    for step in (1 << i for i in range(14)):
        for by, found in groups.items():
            low, high, n = np.array(found, float).T
            D = 0.9 - np.array([0.3, 0.2, 0.1]) / (1 + step / 500) - 0.01 * position
            M = 1 / (1 + step / 2000) + np.array([0.1, 0.0, 0.2])
            sign = np.array([-1, 1 if step > 64 else -1, -1])
            table = {"by": by, "low": low, "high": high, "n": n.astype(int), "D": D, "M": M}
            table |= {"mean": sign * M * (1 - D)}
            frames.append(pd.DataFrame({"run": run, "step": step, "step_next": 2 * step, **table}))
    return pd.concat(frames)


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


def token_gradients(run, position):
    """Exact, but sampled for the third run."""
    kept = np.array([0, *(1 << i for i in range(15))])
    C_g, C_ug = 0.5 / (1 + kept / (300 + position)), 0.05 + 0.01 * np.sin(kept)
    C_uG = C_ug * (0.7 + 0.1 * np.log10(kept + 1)) + 0.001 * position
    exact, sampled = (1.0, np.nan) if position != 2 else (np.nan, 1.0)
    D = exact * (0.99 - 0.01 / (1 + kept / 100) + 0.001 * position)
    proxy = 0.97 - 0.02 / (1 + kept / 100) + 0.001 * position
    of_gradients = {"D_grad": D, "D_grad_with_embeddings": D / 2, "D_proxy": proxy}
    table = {**of_gradients, "C_g": C_g, "C_uG": C_uG, "C_ug": C_ug, "C_g_floor": 0.01}
    errors = {"C_g_se": sampled * 0.2 * C_g, "C_ug_se": sampled * 0.1 * C_ug}
    D_first_order = 1 - C_g * C_uG / C_ug
    return pd.DataFrame(
        {"run": run, "step": kept, **table, "D_first_order": D_first_order, **errors}
    )


def single_steps(run, position):
    """Three batches a checkpoint; evaluation losses get worse at steps 1024 and 2048."""
    frames = []
    for step in (0, *(1 << i for i in range(15))):
        batch = np.arange(3)
        cos = -0.3 / (1 + step / 100) - 0.01 * batch - 0.01 * position
        table = {
            "D_train": 0.2 + 0.1 * batch**2 + 0.05 * position, "M_train": 0.1, "mean_train": -0.05,
            "D_eval": 0.95 - 0.1 * batch - 0.01 * position, "M_eval": 0.1, "mean_eval": 0.01,
            "update_norm": 0.3 + 0.01 * batch + 0.1 * position,
            "grad_norm_train": 2.0 + batch / (1 + step), "cos_train": cos,
            "grad_norm_eval": 1.5 + batch / (2 + step) + 0.1 * position,
            "cos_eval": cos * (-0.2 if step in (1024, 2048) else 0.5), "M_noop": 1e-7,
        }  # fmt: skip
        frames.append(pd.DataFrame({"run": run, "step": step, "batch": batch, **table}))
    return pd.concat(frames)


def cross_sections(run, position):
    """Correlations that grow, the forward difference's below them; sharpness that peaks."""
    kept = np.array([0, *(1 << i for i in range(15))])
    r = 1 - 0.4 / (1 + kept / 30) - 0.005 * position
    table = {"update_norm": 0.3, "r_jvp": r, "r_fd": r - 0.05 / (1 + kept), "D": 0.9}
    sharpness = (1 + position) * 0.1 * kept / (300 + kept**1.5) + 1e-4
    return pd.DataFrame(
        {"run": run, "step": kept, **table, "D_first_order": 0.9, "sharpness": sharpness,
         "window": 10.0}
    )  # fmt: skip


def landscapes(run, position):
    """Mean change of a parabola along the update, on uneven alphas that hold the update."""
    frames = []
    for step in (0, *(1 << i for i in range(15))):
        norm = 0.35 + 0.01 * position + 0.001 * np.log2(step + 1)
        alpha = np.unique([-10, -5, -3, -1.5, -0.5, 0, norm, 0.5, 1.5, 3, 5, 10])
        delta = 0.02 * alpha**2 - 0.05 / (1 + step / 500) * alpha + 0.001 * position * alpha
        table = {"update_norm": norm, "alpha": alpha, "mean_loss": 4 + delta, "delta_loss": delta}
        frames.append(pd.DataFrame({"run": run, "step": step, **table}))
    return pd.concat(frames)


def token_landscapes(run, position):
    """Twelve tokens, half of which the update degrades; some that it improves get worse later."""
    mean = landscapes(run, position)
    token = pd.DataFrame({"token": [3, 5, 8, 20, 21, 22, 40, 41, 50, 51, 52, 60]})
    slope = np.where(token.index % 2, 0.3, -0.1) * (1 + token.index / 2)
    table = mean.drop(columns="mean_loss").merge(token.assign(slope=slope), how="cross")
    table["delta_loss"] = table["delta_loss"] + table["slope"] * table["alpha"]
    columns = ["run", "step", "update_norm", "token", "alpha", "delta_loss"]
    return table[columns].sort_values(["step", "token", "alpha"])


def evaluations(run, position):
    """Evaluation losses of checkpoints 0, 2^i: those of training, and more of it early."""
    kept = np.array([0, *(1 << i for i in range(15))])
    losses = loss(position, kept + 1.0) + 0.5 / (1 + kept) + 0.01 * position
    return pd.DataFrame({"run": run, "step": kept, "eval_loss": losses})


def step_grids(run, position):
    """Doublings, decades and every 1000 steps; D falls with the distance of checkpoints."""
    decades = sorted(d * 10**e for e in range(5) for d in range(1, 10) if d * 10**e <= 20000)
    grids = {
        "doublings": [1 << i for i in range(15)],
        "decades": decades,
        "every": list(range(0, 20001, 1000)),
    }
    frames = []
    for grid, kept in grids.items():
        first, last = np.array(kept[:-1]), np.array(kept[1:])
        D = 0.9 / (1 + (T_D[position] / (first + 1)) ** 0.7) / (last - first) ** 0.05
        table = {"run": run, "grid": grid, "step": first, "step_next": last, "D": D, "M": 1.0}
        ends = {"D_low": D - 0.02, "D_high": D + 0.01, "M_low": 0.9, "M_high": 1.1}
        frames.append(pd.DataFrame({**table, "mean": D - 1, "abs_dL": 1 - D, **ends}))
    return pd.concat(frames)


def token_changes(run, position):
    """Bins of 1/16 nats over the intervals of ``changes``, ever fewer of them falls."""
    frames = []
    for interval in changes(run, position).to_dict("records"):
        low = np.arange(-48, 48) / 16
        weight = np.exp(-np.abs(low)) * np.where(low < 0, 1, interval["D"] / (2 - interval["D"]))
        steps = {name: interval[name] for name in ("step", "step_next")}
        table = {"run": run, **steps, "low": low, "high": low + 1 / 16}
        frames.append(pd.DataFrame({**table, "count": np.round(1000 * weight).astype(int)}))
    return pd.concat(frames)


def downstream(run, position):
    """Two tasks, one of which is learnt."""
    frames = []
    for task, choices, gain in (("boolq", 2, 0.0), ("sciq", 4, 0.02)):
        step = np.array([0, *(1 << i for i in range(15))])
        accuracy = 1 / choices + gain * np.log2(step + 1) + 0.01 * position
        table = {"accuracy": accuracy, "se": 0.03, "chance": 1 / choices, "items": 50, "cut": 40}
        frames.append(pd.DataFrame({"run": run, "step": step, "task": task, **table}))
    return pd.concat(frames).sort_values(["step", "task"])


def sensitivities(run, position, known):
    """Refits with other ends, cuts and, of runs made here, k; one of the cuts has no break."""
    choices = {"T": [5000, 10_000, 20_000], "cut": [20, 100, 900], "k": [1.1, 1.2, 1.6]}
    rows = [
        {"run": run, "parameter": name, "value": value, "L_d": 4 - 0.3 * position + 0.02 * i,
         "t_d": T_D[position] + 50 * i, "r_d": 0.02 + 0.002 * position - 0.001 * i,
         "RSLE": 0.01, "break_inside": value != 900}
        for name, values in choices.items() for i, value in enumerate(values)
        if known or name != "k"
    ]  # fmt: skip
    return pd.DataFrame(rows)


MEASURED = {
    "downstream": downstream,
    "token_changes": token_changes,
    "delta_loss": changes,
    "breakdown": breakdowns,
    "eval_loss": evaluations,
    "step_grids": step_grids,
    "gradient_opposition": opposition,
    "gradient_histograms": histograms,
    "token_gradients": token_gradients,
    "single_step": single_steps,
    "cross_section": cross_sections,
    "landscapes": landscapes,
    "token_landscapes": token_landscapes,
}
"""The curves of runs that are not imported, by kind."""


OPTIMIZERS = ("adamw", "muon", "c_adamw", "ademamix", "adamw")
BATCHES = ((512, 1024), (256, 2048), (2048, 1024), (1024, 2048), (256, 4096))
"""Sequences and tokens per sequence of the runs of suite batch_sequence."""


def settings(suite, position):
    """What the figures read of a run's settings."""
    batch_size, sequence_length = BATCHES[position if suite == "batch_sequence" else 0]
    optimizer = OPTIMIZERS[position if suite == "optimizer" else 0]
    return {
        "batch_size": batch_size,
        "sequence_length": sequence_length,
        "optimizer": {"name": optimizer},
    }


@pytest.fixture(scope="session")
def maker():
    """What ``make`` is of a folder."""
    return studies_in


@pytest.fixture
def make(tmp_path):
    """Build a study; ``imported`` runs have a smoothed train loss and a fit only.

    Every one of ``suites`` has a run of each label.
    """
    return studies_in(tmp_path)


def studies_in(folder):
    """Build studies whose files are in a folder."""

    def build(
        labels=("14M", "37M", "78M"),
        imported=(),
        without_fit=(),
        doubtful=(),
        suites=("main",),
        **options,
    ):
        files = {kind: [] for kind in ("train_loss", "sensitivity", *MEASURED, "fits")}
        runs = []
        noise = np.random.default_rng(0)

        def keep(kind, run, table):
            path = folder / f"{kind}/{run}.csv"
            write_csv(path, table)
            files[kind].append(path)

        for suite, (position, label) in itertools.product(suites, enumerate(labels)):
            run, known = f"{suite}-{label}", label not in imported
            number, read = (10**7, settings(suite, position)) if known else (None, {})
            flops = 10.0**9 * (1 + position / 3) if known else None
            runs.append(RunInfo(run, label, not known, number, read, flops))
            smoothed = loss(position, STEPS)
            raw = smoothed + noise.normal(0, 0.05, len(STEPS)) if known else np.nan
            columns = {"step": STEPS, "train_loss": raw, "smoothed_train_loss": smoothed}
            keep("train_loss", run, pd.DataFrame({"run": run, **columns}))
            keep("sensitivity", run, sensitivities(run, position, known))
            if known:
                for kind, curve in MEASURED.items():
                    keep(kind, run, curve(run, position))
            if label not in without_fit:
                path = folder / f"fits/{run}.json"
                doubts = {"rise": "the loss rises"} if label in doubtful else {}
                write_json(path, {**fit(run, position, not known), "doubts": doubts})
                files["fits"].append(path)
        paths = {kind: tuple(reversed(found)) for kind, found in files.items()}
        return Study("test", False, tuple(runs), paths, options)

    return build
