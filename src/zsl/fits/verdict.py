"""Whether a fit found the deceleration that it tells of (Eqs. 1 and 2), and if not, why.

A fit always has a t_d, whatever the curve: one power law, a plateau or a divergence give one,
too. Each bound here lies in the gap between such curves and those with the parameters that the
paper prints, with noise of either kind (``benchmarks/verdicts.py``, where both are counted). They
were chosen with these counts in view.
"""

from __future__ import annotations

import numpy as np

from zsl.fits.bnsl import F_RANGE, Bnsl
from zsl.fits.bootstrap import Bootstrap

GAIN = 1.5
"""One power law has to miss the curve by so many times the fit's RSLE. The authors' curves have
6 to 7, those of mini, which rest at the frequencies of tokens where their fits begin, 1.6 and
more; a curve with a spike has 1.4. This is what tells an RSLE above the noise: what another shape
leaves is as smooth as the noise that smoothing leaves, so that only the size tells."""
STILL, AT_ONCE = 0.02, 0.1
"""r_d over c_0, and f_1, below which the loss stops at once: a plateau, no deceleration. The
windows of smoothing let the sharpest bend look like an f_1 of .03 to .05. The paper's 14M has .055
of c_0 and an f_1 of .2; its AdamW of Table 7 is nearly as sharp, and goes on falling. An r_d as
far below 0 is a rise: noise alone takes the 14M and Muon, whose r_d is .01, below 0."""
MISSED = 0.05
"""Relative distance of L_hat_T from L_T, above which the second power law is not the curve's end.
Above it the break is so smooth that the curve has not left it by T."""
WITHOUT = 0.55
"""Share of the bootstrap's replicates without a break inside the fitted steps. One power law with
any noise has .7, curves of mini at most .45. Ends of intervals do not count: the bootstrap's noise
never returns to zero, and that of a rough curve may reach all steps although seeds agree."""
EDGE = 1.01
"""What is nearer to a bound than this factor is at it."""


def doubts(
    fit: Bnsl, steps: np.ndarray, losses: np.ndarray, again: Bootstrap | None = None
) -> dict[str, str]:
    """Why the deceleration of ``fit`` is doubtful, in words by a short name; empty if it is not.

    ``steps`` (n,) and ``losses`` (n,), nats, are what it was fitted to; ``again`` its bootstrap,
    without which no replicates are looked at.
    """
    found: dict[str, str] = {}
    first, last = float(steps[0]), float(steps[-1])
    gain = one_power_law(steps, losses) / max(fit.RSLE, 1e-12)
    if gain < GAIN:
        found["one_power_law"] = (
            f"one power law misses the curve by only {gain:.1f} times as much as the fit "
            f"(at least {GAIN:g} are asked for)"
        )
    if not fit.break_inside:
        found["no_break"] = f"no break inside the fitted steps ({_where(fit, first, last)})"
    if fit.c_1 >= 0:
        found["acceleration"] = (
            f"c_1 = {fit.c_1:.2g} is not below 0: the loss falls faster after t_d"
        )
    elif abs(fit.r_d) < STILL * fit.c_0 and fit.f_1 < AT_ONCE:
        found["plateau"] = (
            f"r_d = {fit.r_d:.2g} and f_1 = {fit.f_1:.2g}: the loss stops at once and stands still"
        )
    elif fit.r_d < -STILL * fit.c_0:
        found["rise"] = f"r_d = {fit.r_d:.2g} is below 0: the loss rises after t_d"
    missed = fit.L_hat(last) / float(losses[-1]) - 1
    if abs(missed) > MISSED:
        found["L_hat_T"] = f"L_hat_T is {100 * missed:+.0f} % off L_T"
    if again is not None and (share := again.failed / len(again.values["t_d"])) > WITHOUT:
        found["replicates"] = f"{100 * share:.0f} % of the bootstrap's replicates have no break"
    return found


def one_power_law(steps: np.ndarray, losses: np.ndarray) -> float:
    """RSLE of the best single power law through ``losses`` (n,) at ``steps`` (n,)."""
    x, y = np.log(np.asarray(steps, float)), np.log(np.asarray(losses, float))
    design = np.column_stack([np.ones_like(x), x])
    rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(np.sqrt(np.mean(rest**2)))


def _where(fit: Bnsl, first: float, last: float) -> str:
    if fit.t_d <= first * EDGE or fit.t_d >= last / EDGE:
        return f"t_d = {fit.t_d:.0f} of {first:.0f} to {last:.0f}"
    return f"f_1 = {fit.f_1:.2g} of {F_RANGE[0]:g} to {F_RANGE[1]:g}"
