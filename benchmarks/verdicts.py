"""How often fits are marked as doubtful: of curves that decelerate, and of curves that do not.

Curves that do: the parameters of Tables 4 to 7 with AR(1) noise per point of the printed RSLE, as
in ``coverage.py``; with ZSL_PUBLISHED_DIR, the authors' curves, too. Curves that do not: the
shapes of ``SHAPES`` up to T = 60,000, with two kinds of noise: ``raw``, 3 % on each step's loss,
smoothed as the workflow does; ``AR(1)``, as above, with an RSLE of .005. Writes
``benchmarks/results/verdicts.md``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from coverage import CUT, LAST, draw, grid, per_point, rows

from zsl.curves.smoothing import lsma, subsample
from zsl.files import write_text
from zsl.fits.bnsl import fit_bnsl
from zsl.fits.bootstrap import bootstrap
from zsl.fits.verdict import doubts
from zsl.job import fix_threads

T = 60_000
RAW, SMOOTHED = 0.03, 0.005
"""Standard deviation of log L: of a step's loss, and of the smoothed curve."""


SETTINGS = {"replicates": 40, "block": 0.3, "seed": 0}
"""Enough for the share of replicates without a break."""


def law(t: np.ndarray, b: float, c_0: float, *breaks: tuple[float, float, float]) -> np.ndarray:
    """Losses of a BNSL with a = 0 and breaks (c, d, f)."""
    bends = [c * f * np.logaddexp(0, np.log(t / d) / f) for c, d, f in breaks]
    return np.exp(np.log(b) - c_0 * np.log(t) - sum(bends, np.zeros(len(t))))


def shapes(t: np.ndarray) -> dict[str, np.ndarray]:
    """Losses (nats) at steps ``t`` of curves without a deceleration that Eq. 1 describes."""
    slower = law(t, 20, 0.2, (-0.16, 5000, 0.25))
    spike = slower.copy()
    spike[np.searchsorted(t, T // 3)] = 1e4
    after = np.maximum(t / (T / 2), 1)
    return {
        "one power law, .1": law(t, 20, 0.1),
        "one power law, .03": law(t, 8, 0.03),
        "constant": np.full(len(t), 3.3),
        "two breaks, slower, then faster": law(t, 20, 0.2, (-0.14, 300, 0.2), (0.12, 12_000, 0.2)),
        "two breaks, slower twice": law(t, 20, 0.2, (-0.1, 300, 0.2), (-0.08, 12_000, 0.2)),
        "divergence at the end": slower * np.exp(np.maximum(t / T - 11 / 12, 0) * 12),
        "acceleration": law(t, 8, 0.03, (0.12, 5000, 0.25)),
        "rise after the break": law(t, 20, 0.2, (-0.26, 5000, 0.25)),
        "plateau": np.maximum(law(t, 20, 0.2), 3),
        "a spike of 1e4": spike,
        "memorisation": slower * after**-20.0,
    }


def noisy(losses: np.ndarray, kind: str, generator: np.random.Generator) -> np.ndarray:
    """Smoothed losses at the fitted steps, (points,), from those of all steps."""
    t = np.arange(1, T + 1)
    kept = subsample(t, 10)
    if kind == "raw":
        return lsma(t, losses * np.exp(RAW * generator.standard_normal(T)), 1.2)[kept]
    noise = SMOOTHED * correlated(len(kept)) @ generator.standard_normal(len(kept))
    return lsma(t, losses, 1.2)[kept] * np.exp(noise)


@cache
def correlated(points: int) -> np.ndarray:
    """What makes independent numbers AR(1) per point, (points, points)."""
    return np.linalg.cholesky(per_point(np.arange(points)) + 1e-9 * np.eye(points))


def reasons(steps: np.ndarray, losses: np.ndarray) -> dict[str, str]:
    fit = fit_bnsl(steps, losses)
    again = bootstrap(steps, losses, fit, T=int(steps[-1]), **SETTINGS)
    return doubts(fit, steps, losses, again)


def line(name: str, found: list[dict[str, str]]) -> dict[str, object]:
    counts = Counter(reason for each in found for reason in each)
    said = ", ".join(f"{reason} {n}" for reason, n in counts.most_common())
    marked = sum(map(bool, found))
    print(name, f"{marked} of {len(found)}", said, flush=True)
    return {"curve": name, "marked": marked, "of": len(found), "reasons": said}


def decelerating(n: int) -> list[dict[str, object]]:
    table = []
    for seed, row in enumerate(rows()):
        t = grid(row.table)
        noise = draw("AR(1) per point", row, t, n, np.random.default_rng(seed))
        found = [reasons(t, np.exp(row.fit.log_loss(t) + each)) for each in noise]
        table.append(line(f"Table {row.table}, {row.label}, T = {LAST[row.table]:,}", found))
    return table


def others(n: int) -> list[dict[str, object]]:
    t = np.arange(1, T + 1)
    steps = t[subsample(t, 10)]
    used = steps > CUT
    table = []
    for name, losses in shapes(t).items():
        for kind in ("raw", "AR(1)"):
            curves = [noisy(losses, kind, np.random.default_rng(seed)) for seed in range(n)]
            found = [reasons(steps[used].astype(float), curve[used]) for curve in curves]
            table.append(line(f"{name}; {kind}", found))
    return table


def published() -> list[dict[str, object]]:
    """The authors' curves, if there are any here."""
    folder = os.environ.get("ZSL_PUBLISHED_DIR")
    if not folder:
        return []
    table = []
    for name, model in json.loads((Path(folder) / "bnsl_fit.json").read_text()).items():
        steps, losses = (np.array(model["smoothed_loss"][axis], dtype=float) for axis in "xy")
        used = steps > CUT
        table.append(line(f"published, {name}", [reasons(steps[used], losses[used])]))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curves", type=int, default=100, help="of each row of the tables")
    parser.add_argument("--others", type=int, default=50, help="of each shape and kind of noise")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/verdicts.md")
    options = parser.parse_args()
    parts = ["Made by `benchmarks/verdicts.py`, whose docstring says what curves these are."]
    for title, table in (
        ("Curves that decelerate", published() + decelerating(options.curves)),
        ("Curves that do not", others(options.others)),
    ):
        marked, n = (sum(int(str(each[key])) for each in table) for key in ("marked", "of"))
        parts.append(f"**{title}: {marked} of {n} marked ({100 * marked / n:.1f} %).**")
        parts.append(pd.DataFrame(table).to_markdown(index=False))
    write_text(options.out, "\n\n".join(parts) + "\n")


if __name__ == "__main__":
    fix_threads(1)
    main()
