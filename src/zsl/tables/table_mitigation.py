"""Arms with interventions against their baseline and placebos, at a constant rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from zsl import arms
from zsl.claims import interval
from zsl.errors import ZslError
from zsl.study import Study
from zsl.tables.layout import ABSENT, Column, Table, fixed, identity, integer

SUITE = "mitigation"
LEVEL = 0.05
QUANTITIES = ("loss", "L_d", "t_d", "r_d", "D", "M", "D_proxy", "C_g")


def quantities(study: Study) -> dict[str, dict[str, float]]:
    """Values by quantity and run id.

    ``loss``: evaluation loss at the last step (nats). ``L_d``, ``t_d``, ``r_d``: of the train loss.
    ``D``, ``M`` (nats): of the last interval [t, 2t]. ``D_proxy``, ``C_g``: means over the
    checkpoints from a quarter of the last step on.
    """
    changes, gradients = study.all_rows("delta_loss"), study.all_rows("token_gradients")
    return {
        "loss": arms.last(study.all_rows("eval_loss"), "eval_loss"),
        **{name: arms.fitted(study, name) for name in ("L_d", "t_d", "r_d")},
        **{name: arms.last(changes, name) for name in ("D", "M")},
        "D_proxy": arms.late(study.all_rows("gradient_opposition"), "D_proxy"),
        "C_g": arms.late(gradients, "C_g"),
    }


def rows(study: Study) -> pd.DataFrame:
    """One row per arm: of each quantity q its mean over seeds ``q``, the ends ``q_low`` and
    ``q_high`` of its interval over seeds, and ``q_baseline`` and ``q_placebo``, differences from
    those, with ``_low``, ``_high`` and ``_p``, corrected for the number of arms.
    """
    runs = arms.arms(study, SUITE)
    if len(runs) < 2:
        raise ZslError(f"suite {SUITE} has no two runs that are trained here; add arms to it")
    found: dict[str, dict[str, Any]] = {
        run.label: {**identity(run), "seeds": len(arms.seeds(study, run))} for run in runs
    }
    families = {
        "baseline": arms.against_baseline(runs),
        "placebo": arms.against_placebo(runs),
    }
    for name, by_run in quantities(study).items():
        values = arms.per_seed(study, SUITE, by_run)
        for arm, of_arm in values.groupby("arm", sort=False)["value"]:
            low, high = interval(of_arm.to_numpy(float))
            found[str(arm)] |= {name: of_arm.mean(), f"{name}_low": low, f"{name}_high": high}
        for family, references in families.items():
            for row in arms.compare(values, references).to_dict("records"):
                start = f"{name}_{family}"
                found[row["arm"]] |= {
                    start: row["difference"],
                    f"{start}_low": row["low"],
                    f"{start}_high": row["high"],
                    f"{start}_p": row["p_holm"],
                }
    table = pd.DataFrame(found.values())
    for name in QUANTITIES:
        for family in families:
            for end in ("", "_low", "_high", "_p"):
                column = f"{name}_{family}{end}"
                table[column] = table[column] if column in table else float("nan")
    return table


def columns(study: Study) -> list[Column]:
    """The last loss with its differences, then what the paper measures of deceleration."""
    difference, p = fixed(4), (lambda value: "< .001" if value < 1e-3 else f"{value:.3f}")
    loss = [Column("loss", "$L_T$", "L<sub>T</sub>", fixed(4))]
    for family, words in (("baseline", "baseline"), ("placebo", "placebo")):
        start = f"loss_{family}"
        loss += [
            Column(start, f"$- {words}$", f"− {words}", difference),
            Column(f"{start}_low", "from", "from", difference),
            Column(f"{start}_high", "to", "to", difference),
            Column(f"{start}_p", "$p$", "p", p),
        ]
    return [
        *loss,
        Column("L_d", "$L_d$", "L<sub>d</sub>", fixed(3)),
        Column("t_d", "$t_d$", "t<sub>d</sub>", integer),
        Column("r_d", "$r_d$", "r<sub>d</sub>", fixed(4)),
        Column("D", "$D$", "D", fixed(3)),
        Column("M", "$M$", "M", fixed(3)),
        Column("D_proxy", "proxy $D$", "proxy D", fixed(4)),
        Column("C_g", "$C_g$", "C<sub>g</sub>", fixed(4)),
    ]


def notes(study: Study, rows: pd.DataFrame) -> list[str]:
    """How to read the differences, and whether lower D comes with lower loss."""
    first = rows["label"].iloc[0]
    said = [
        f"Differences from {first} and, of agreement, from the placebo of the same dose: 95 % "
        "interval of each by itself; p corrected for the number of arms (Holm). Seeds are blocks, "
        "and their noise has one variance in all arms.",
        _together(rows),
    ]
    missing = rows.loc[rows["t_d"].isna(), "label"]
    if len(missing):
        said.append(f"Without a sound fit for every seed: {', '.join(missing)}.")
    return said


def _together(rows: pd.DataFrame) -> str:
    """Which arms lower D, and which of these lower the loss, in words."""
    lower = rows[(rows["D_baseline"] < 0) & (rows["D_baseline_p"] < LEVEL)]
    better = lower[(lower["loss_baseline"] < 0) & (lower["loss_baseline_p"] < LEVEL)]
    worse = lower[(lower["loss_baseline"] > 0) & (lower["loss_baseline_p"] < LEVEL)]
    compared = rows.dropna(subset=["D_baseline", "loss_baseline"])
    text = (
        f"D is lower than the baseline's (p < {LEVEL}) in: {_listed(lower)}; of these the loss is "
        f"lower in: {_listed(better)}, and higher in: {_listed(worse)}."
    )
    if len(compared) > 2:
        ranked = compared[["D_baseline", "loss_baseline"]].rank().to_numpy(float)
        ranks = float(np.corrcoef(ranked.T)[0, 1])
        text += f" Rank correlation of both differences over arms: {ranks:.2f}."
    return text


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(rows["label"]) or ABSENT


def expected(study: Study) -> list[str]:
    """Labels of a complete table."""
    return [run.label for run in arms.arms(study, SUITE)]


TABLE = Table(rows, columns, notes, expected, heading="Arm")
