"""Table 3: parameters of models and optimizers."""

from __future__ import annotations

import pandas as pd

from zsl.errors import ZslError
from zsl.study import Study
from zsl.tables.layout import Column, Table, identity, integer, scientific, thousands


def rows(study: Study) -> pd.DataFrame:
    """Sizes, peak rate and warm-up (steps) of each run trained here, and all its parameters."""
    table = []
    for run in study.runs:
        if run.imported:
            continue
        model = run.settings["model"]
        table.append(
            {
                **identity(run),
                "d_model": model["d_model"],
                "mlp_dim": model["mlp_ratio"] * model["d_model"],
                "n_heads": model["n_heads"],
                "n_layers": model["n_layers"],
                "peak_lr": run.settings["optimizer"]["learning_rate"],
                "warmup": run.settings["schedule"]["warmup_steps"],
                "n_parameters": run.n_parameters,
            }
        )
    if not table:
        raise ZslError(
            f"{study.experiment}: all runs are imported, their settings are not known; "
            "Table 3 needs a run of its own"
        )
    return pd.DataFrame(table)


def columns(study: Study) -> list[Column]:
    """The printed columns: the paper's, then the exact number of parameters."""
    return [
        Column("d_model", r"$d_\mathrm{model}$", "d<sub>model</sub>", integer, "d_model"),
        Column("mlp_dim", r"$d_\mathrm{mlp}$", "d<sub>mlp</sub>", integer, "mlp_dim"),
        Column("n_heads", "heads", "heads", integer, "n_heads"),
        Column("n_layers", "layers", "layers", integer, "n_layers"),
        Column("peak_lr", "peak rate", "peak rate", scientific, "peak_lr"),
        Column("warmup", "warm-up", "warm-up", thousands, "warmup"),
        Column("n_parameters", "parameters", "parameters", thousands),
    ]


TABLE = Table(rows, columns, missing="imported, settings not known")
