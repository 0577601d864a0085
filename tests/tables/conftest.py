"""Small synthetic studies in the files that tables read."""

import math

import pandas as pd
import pytest

from zsl.files import write_json
from zsl.study import RunInfo, Study, write_csv

PARAMETERS = {
    "14M": (18.4, 0.17, -0.157, 8.68, 0.2),
    "37M": (19.6, 0.195, -0.178, 8.69, 0.24),
    "78M": (20.7, 0.21, -0.19, 8.7, 0.29),
    "tiny": (21.0, 0.3, -0.27, 5.87, 0.3),
    "1M-1024": (21.4, 0.22, -0.187, 8.54, 0.25),
    "4M-2048": (22.1, 0.23, -0.19, 8.51, 0.21),
    "AdamW": (24.8, 0.24, -0.19, 8.64, 0.15),
    "C-AdamW": (24.7, 0.241, -0.192, 8.62, 0.16),
}
WIDTHS = {"14M": 256, "37M": 512, "78M": 768, "tiny": 32}
BATCHES = {"1M-1024": (1024, 1024), "4M-2048": (2048, 2048)}
"""Sequences and tokens per sequence of runs that do not have 512 and 1024."""
NAMES = ("b", "c_0", "c_1", "log_d_1", "f_1")


def fit(run, label, T, cut, imported):
    b, c_0, c_1, log_d_1, _f_1 = PARAMETERS[label]
    t_d = math.exp(log_d_1)
    L_d, r_d = b * t_d**-c_0, c_0 + c_1
    return {
        "run": run, "imported": imported, "note": "Published curves." if imported else "",
        "T": T, "cut": cut, "k": 1.2, "n_points": 400, "RSLE": 0.0113,
        "L_d": L_d, "t_d": t_d, "r_d": r_d,
        "L_hat_T": L_d * (t_d / T) ** r_d, "L_T": 0.01 + L_d * (t_d / T) ** r_d,
        "parameters": dict(zip(NAMES, PARAMETERS[label], strict=True)),
        "errors": {name: 0.01 * (i + 1) for i, name in enumerate(NAMES)},
        "covariance": [[0.0] * 5] * 5, "doubts": {},
    }  # fmt: skip


def settings(label):
    d = WIDTHS.get(label, 1024)
    batch_size, sequence_length = BATCHES.get(label, (512, 1024))
    return {
        "batch_size": batch_size,
        "sequence_length": sequence_length,
        "model": {"d_model": d, "n_heads": d // 64 or 2, "n_layers": 4, "mlp_ratio": 3},
        "optimizer": {"learning_rate": 1.26e-3},
        "schedule": {"warmup_steps": 2000},
    }


def eval_loss(position, step):
    return 11 / (1 + 0.1 * position) * step**-0.1


@pytest.fixture
def make(tmp_path):
    """Build a study; runs in ``without`` have no fit, ``lacking`` pairs no evaluation."""

    def build(
        labels=("14M", "37M", "78M"),
        imported=(),
        without=(),
        lacking=(),
        comparable=False,
        T=(),
        steps=(32, 4096, 8192),
        suite="main",
    ):
        files = {"fits": [], "eval_loss": []}
        runs = []
        for position, label in enumerate(labels):
            run, known = f"{suite}-{label}", label not in imported
            number = 14_319_616 + position if known else None
            runs.append(RunInfo(run, label, not known, number, settings(label) if known else {}))
            if label not in without:
                path = tmp_path / f"fits/{run}.json"
                write_json(path, fit(run, label, dict(T).get(label, 262144), 100, not known))
                files["fits"].append(path)
            if known:
                kept = [t for t in (1, *steps) if (label, t) not in lacking]
                path = tmp_path / f"eval/{run}.csv"
                losses = [eval_loss(position, t) for t in kept]
                write_csv(path, pd.DataFrame({"run": run, "step": kept, "eval_loss": losses}))
                files["eval_loss"].append(path)
        paths = {kind: tuple(reversed(found)) for kind, found in files.items()}
        return Study("test", comparable, tuple(runs), paths, {"table2_steps": list(steps)})

    return build
