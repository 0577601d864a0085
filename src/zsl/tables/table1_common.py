"""Table 1 at a common T: all curves fitted to the same steps, with intervals."""

from __future__ import annotations

from typing import Any

import pandas as pd

from zsl.errors import ZslError
from zsl.fits.bootstrap import QUANTITIES, bootstrap
from zsl.fits.common import common_step, fitted_part, refit
from zsl.fits.verdict import doubts
from zsl.fits.words import in_words
from zsl.study import Study
from zsl.tables.layout import Column, Table, fixed, hundreds, identity, integer


def rows(study: Study) -> pd.DataFrame:
    """L_d, t_d, r_d and L_hat_T with ends of their intervals, and L_T, all at one T.

    ``T_table1`` is the T that the run has in Table 1; ``failed`` counts the replicates without a
    break; ``doubts`` are those of the fit at this T. Losses in nats, T and cut in steps.
    """
    info = {run.id: run for run in study.runs}
    curves = {str(run): rows for run, rows in study.curve("train_loss").groupby("run", sort=False)}
    fits = [fit for fit in study.fits() if fit["run"] in curves]
    if not fits:
        raise ZslError(f"{study.experiment}: no run has a fit; expected fits/<run>.json")
    T = common_step(curves[fit["run"]] for fit in fits)
    found = [
        {**identity(info[fit["run"]]), **_measured(curves[fit["run"]], fit, T)} for fit in fits
    ]
    return pd.DataFrame(found)


def _measured(curve: pd.DataFrame, fit: dict[str, Any], T: int) -> dict[str, Any]:
    made, cut = refit(curve, T=T, cut=fit["cut"]), fit["cut"]
    settings = {name: fit["bootstrap"][name] for name in ("replicates", "block", "seed")}
    steps, losses = fitted_part(curve, T=T, cut=cut)
    again = bootstrap(steps, losses, made, T=T, **settings)
    values: dict[str, Any] = {}
    for name in QUANTITIES:
        values[name] = made.L_hat(T) if name == "L_hat_T" else getattr(made, name)
        values[f"{name}_low"], values[f"{name}_high"] = again.interval(name)
    return {
        **values,
        "L_T": float(losses[-1]),
        "failed": again.failed,
        "doubts": in_words(doubts(made, steps, losses, again)),
        "T": T,
        "T_table1": fit["T"],
        "cut": cut,
    }


def columns(study: Study) -> list[Column]:
    """The columns of Table 1, each of the fits' with the ends of its interval."""
    shown = {
        "L_d": (r"$\downarrow L_d$", "↓ L<sub>d</sub>", fixed(2)),
        "t_d": (r"$\downarrow t_d$", "↓ t<sub>d</sub>", hundreds),
        "r_d": (r"$\uparrow r_d$", "↑ r<sub>d</sub>", fixed(4)),
    }
    made = []
    for name, (tex, html, show) in shown.items():
        within = ("t_d_low", "t_d_high") if name == "t_d" else None
        made.append(Column(name, tex, html, show, within=within))
        made.append(Column(f"{name}_low", "from", "from", show))
        made.append(Column(f"{name}_high", "to", "to", show))
    return [
        *made,
        Column("L_T", "$L_T$", "L<sub>T</sub>", fixed(2)),
        Column("T", "$T$", "T", integer),
        Column("T_table1", "$T$ of Table 1", "T of Table 1", integer),
    ]


def notes(study: Study, rows: pd.DataFrame) -> list[str]:
    """What a reader has to know beside the numbers."""
    return [
        "From, to: 95 % block-bootstrap interval. Its noise never returns to zero, so that it is "
        "rather too wide than too narrow; one that ends with the fitted steps says that the "
        "curve does not tell."
    ]


TABLE = Table(rows, columns, notes)
