"""How often the bootstrap's intervals of L_d, t_d and r_d hold the truth, and how good fits are.

Curves with the parameters of Tables 4 to 7 and noise of three kinds, all with the size that the
tables print as RSLE:

- ``AR(1) per point``: the noise itself has that size and the published lag-1 correlation, on the
  subsampled grid. Fits follow most of it, so that their residuals are smaller and rougher.
- ``AR(1) in log t`` and ``smooth in log t``: noise whose correlation falls with the distance in
  log t, as exp(-d / 0.5) and exp(-(d / 0.4)^2 / 2), sized so that the residuals of a fit have
  the printed RSLE. The smooth one has their lag-1 correlation, too.

Writes ``benchmarks/results/coverage.md``. With ZSL_PUBLISHED_DIR, the residuals of the authors'
curves are measured beside.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from zsl.curves.smoothing import subsample
from zsl.files import write_text
from zsl.fits.bnsl import GRID_F, Bnsl, fit_bnsl
from zsl.fits.bootstrap import bootstrap
from zsl.job import fix_threads
from zsl.tables.layout import paper_values

LAST = {4: 262_144, 5: 262_144, 6: 131_072, 7: 100_000}
"""T by table; that of Table 6 is not in the paper."""
CUT, PHI = 100, 0.997
SETTINGS = {"replicates": 200, "block": 0.3, "seed": 0}
MEASURES = ("L_d", "t_d", "r_d")
Covariance = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Row:
    """A row of Tables 4 to 7."""

    table: int
    label: str
    fit: Bnsl
    """The printed parameters and RSLE."""


def rows() -> Iterator[Row]:
    """All rows with printed parameters."""
    for table in LAST:
        values = paper_values(f"table{table}").reset_index()
        for _, row in values.iterrows():
            names = ("b", "c_0", "c_1", "log(d_1)", "f_1")
            unused = {"covariance": np.zeros((5, 5)), "n_points": 0, "break_inside": True}
            fit = Bnsl(*(float(row[name]) for name in names), RSLE=float(row["RSLE"]), **unused)
            yield Row(table, str(row.iloc[0]), fit)


def grid(table: int) -> np.ndarray:
    """Fitted steps of the paper's grid, (points,)."""
    steps = np.arange(1, LAST[table] + 1)
    steps = steps[subsample(steps, 10)]
    return steps[steps > CUT].astype(float)


def per_point(x: np.ndarray) -> np.ndarray:
    index = np.arange(len(x))
    return PHI ** abs(index[:, None] - index)


def in_log_t(x: np.ndarray) -> np.ndarray:
    return np.exp(-abs(x[:, None] - x) / 0.5)


def smooth(x: np.ndarray) -> np.ndarray:
    return np.exp(-(((x[:, None] - x) / 0.4) ** 2) / 2)


NOISE: dict[str, tuple[Covariance, bool]] = {
    "AR(1) per point": (per_point, False),
    "AR(1) in log t": (in_log_t, True),
    "smooth in log t": (smooth, True),
}
"""Covariance, and whether the RSLE is that of the residuals, not of the noise."""


def draw(name: str, row: Row, t: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Noise of log L, (n, points)."""
    covariance, of_residuals = NOISE[name]
    matrix = covariance(np.log(t))
    if of_residuals:
        basis, _ = np.linalg.qr(row.fit.tangents(t))
        matrix = matrix * len(t) / (np.trace(matrix) - np.trace(basis.T @ matrix @ basis))
    root = np.linalg.cholesky(matrix + 1e-9 * np.eye(len(t)))
    return row.fit.RSLE * generator.standard_normal((n, len(t))) @ root.T


def exhaustive(t: np.ndarray, losses: np.ndarray) -> float:
    """RSLE of the best of descents from all over the range of the break."""
    ends = np.log([t[0], t[-1]])
    starts = [(d, f) for d in np.linspace(*ends, 10)[1:-1] for f in GRID_F]
    return min(fit_bnsl(t, losses, (float(d), float(f)), 1e-3).RSLE for d, f in starts)


def pcov_interval(fit: Bnsl, name: str) -> tuple[float, float]:
    """The normal interval of the paper's errors, by the delta method."""
    gradients = {
        "L_d": [fit.L_d / fit.b, -fit.log_d_1 * fit.L_d, 0, -fit.c_0 * fit.L_d, 0],
        "t_d": [0, 0, 0, fit.t_d, 0],
        "r_d": [0, 1, 1, 0, 0],
    }
    gradient = np.array(gradients[name])
    half = 1.96 * float(np.sqrt(gradient @ fit.covariance @ gradient))
    value = getattr(fit, name)
    return value - half, value + half


def lag_1(residuals: np.ndarray) -> float:
    return float(np.corrcoef(residuals[1:], residuals[:-1])[0, 1])


def study(name: str, row: Row, n: int, n_exhaustive: int, seed: int) -> dict[str, object]:
    """One line of the table."""
    t = grid(row.table)
    clean, truth = row.fit.log_loss(t), {each: getattr(row.fit, each) for each in MEASURES}
    held = {each: 0 for each in MEASURES}
    naive = {each: 0 for each in MEASURES}
    found, lags, worst, sizes = [], [], 0.0, []
    for i, noise in enumerate(draw(name, row, t, n, np.random.default_rng(seed))):
        losses = np.exp(clean + noise)
        fit = fit_bnsl(t, losses)
        made = bootstrap(t, losses, fit, T=LAST[row.table], **SETTINGS)
        for each, true in truth.items():
            low, high = made.interval(each)
            held[each] += low <= true <= high
            low, high = pcov_interval(fit, each)
            naive[each] += low <= true <= high
        found.append([getattr(fit, each) for each in MEASURES])
        lags.append(lag_1(np.log(losses) - fit.log_loss(t)))
        sizes.append(fit.RSLE / row.fit.RSLE)
        if i < n_exhaustive:
            worst = max(worst, fit.RSLE / exhaustive(t, losses))
    median = np.median(found, axis=0) / list(truth.values()) - 1
    return {
        "noise": name,
        "table": row.table,
        "row": row.label,
        "curves": n,
        **{f"{each} held": held[each] / n for each in MEASURES},
        **{f"{each} pcov": naive[each] / n for each in MEASURES},
        **{f"{each} median, %": 100 * m for each, m in zip(MEASURES, median, strict=True)},
        "RSLE of fit / row": float(np.median(sizes)),
        "lag-1 after fit": float(np.median(lags)),
        "RSLE / best start": worst,
    }


def published() -> str:
    """Residuals of the authors' curves, measured."""
    folder = os.environ.get("ZSL_PUBLISHED_DIR")
    if not folder:
        return "ZSL_PUBLISHED_DIR is not set: residuals of the authors' curves not measured.\n"
    lines = []
    for name, model in json.loads((Path(folder) / "bnsl_fit.json").read_text()).items():
        steps, losses = (np.array(model["smoothed_loss"][axis], dtype=float) for axis in "xy")
        steps, losses = steps[steps > CUT], losses[steps > CUT]
        fit = fit_bnsl(steps, losses)
        residuals = np.log(losses) - fit.log_loss(steps)
        lines.append({"curve": name, "RSLE": fit.RSLE, "lag-1": lag_1(residuals)})
    return pd.DataFrame(lines).to_markdown(index=False, floatfmt=".4f") + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curves", type=int, default=100, help="of each row, first kind of noise")
    parser.add_argument("--others", type=int, default=20, help="of each row, other kinds")
    parser.add_argument("--exhaustive", type=int, default=100, help="of them, searched wholly")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/coverage.md")
    options = parser.parse_args()
    table = []
    for name in NOISE:
        n = options.curves if name == "AR(1) per point" else options.others
        for seed, row in enumerate(rows()):
            table.append(study(name, row, n, options.exhaustive, seed))
            print(table[-1], flush=True)
    made = pd.DataFrame(table)
    numbers = made.drop(columns=["table", "row"]).groupby("noise", sort=False)
    summary = pd.concat(
        [numbers.mean(), numbers.min().filter(like="held").add_suffix(", least")], axis=1
    )
    parts = [
        "Made by `benchmarks/coverage.py`, whose docstring says what noise is meant. `held`: part "
        "of the curves whose 95 % interval holds the truth; `pcov`: the same of the errors that "
        "the paper prints; `median`: deviation of the median fit from the truth.\n",
        published(),
        summary.T.to_markdown(floatfmt=".3f") + "\n",
        made.to_markdown(index=False, floatfmt=".3f") + "\n",
    ]
    write_text(options.out, "\n".join(parts))


if __name__ == "__main__":
    fix_threads(1)
    main()
