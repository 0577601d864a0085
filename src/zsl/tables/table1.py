"""Table 1: measurements of loss deceleration (Eq. 2)."""

from __future__ import annotations

import pandas as pd

from zsl.study import Study
from zsl.tables.fits import fit_notes, fit_rows
from zsl.tables.layout import Column, Table, fixed, hundreds, integer

NAMES = ("L_d", "t_d", "r_d", "L_hat_T", "L_T")


def rows(study: Study) -> pd.DataFrame:
    """L_d, L_hat_T, L_T (nats), t_d (steps) and r_d of each fit, with T and cut (steps)."""
    return fit_rows(study, lambda fit: {name: fit[name] for name in NAMES})


def columns(study: Study) -> list[Column]:
    """The printed columns: the paper's, then T and cut."""
    hat = r"$\hat{L}_T$", "L&#770;<sub>T</sub>"
    return [
        Column("L_d", r"$\downarrow L_d$", "↓ L<sub>d</sub>", fixed(2), "L_d"),
        t_d_column(),
        Column("r_d", r"$\uparrow r_d$", "↑ r<sub>d</sub>", fixed(3), "r_d"),
        Column("L_hat_T", *hat, fixed(2), "L_hat_T"),
        Column("L_T", "$L_T$", "L<sub>T</sub>", fixed(2), "L_T"),
        Column("T", "$T$", "T", integer),
        Column("cut", "cut", "cut", integer),
    ]


def t_d_column() -> Column:
    """t_d with the digits that its interval allows, the paper's as it prints them."""
    within = ("t_d_low", "t_d_high")
    heads = r"$\downarrow t_d$", "↓ t<sub>d</sub>"
    return Column("t_d", *heads, hundreds, "t_d", deviation=integer, within=within)


TABLE = Table(rows, columns, fit_notes)
