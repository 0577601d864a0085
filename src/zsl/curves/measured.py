"""Curves of means over the evaluation tokens; columns as :mod:`zsl.study` describes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from zsl.curves.downstream import downstream_curve
from zsl.errors import MeasurementError
from zsl.measurements.hdf5 import array, checkpoints, reading, scalar, step_of

WIDTH = 1 / 16
"""Nats, of the bins of changes of tokens' losses: a power of two, so that edges are exact."""


def eval_loss_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Mean evaluation loss of every checkpoint in the token-loss files ``paths``."""
    rows = []
    for group in _groups(paths):
        losses = array(group, "token_losses", 2)
        rows.append((run, step_of(group), float(losses.mean(dtype=np.float64))))
    return pd.DataFrame(sorted(rows), columns=["run", "step", "eval_loss"])


def delta_loss_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """D, M and mean of the loss changes over every interval in the delta-loss files ``paths``,
    with their confidence intervals."""
    rows = []
    for group in _groups(paths):
        steps = {name: step_of(group, name) for name in ("step", "step_next")}
        values = {name: scalar(group, name) for name in ("D", "M", "mean")}
        values |= {"abs_dL": abs(values["mean"])}
        ends = {name: scalar(group, name) for name in ("D_low", "D_high", "M_low", "M_high")}
        rows.append({"run": run, **steps, **values, **ends})
    return pd.DataFrame(rows).sort_values("step", ignore_index=True)


def step_grids_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """The loss changes between neighbours of the grids of Fig. 15, with the grid's name.

    A file of a grid is named after it; all others hold the doublings.
    """
    by_grid: dict[str, list[Path]] = {}
    for path in paths:
        grid = path.stem if path.stem in ("decades", "every") else "doublings"
        by_grid.setdefault(grid, []).append(path)
    frames = [delta_loss_curve(run, found).assign(grid=grid) for grid, found in by_grid.items()]
    table = pd.concat(frames, ignore_index=True)
    table.insert(1, "grid", table.pop("grid"))
    return table


def token_changes(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Histogram of the changes of single tokens' losses, of every interval in ``paths``.

    Bins are ``WIDTH`` nats wide from zero on; those that hold no token have no row.
    """
    frames = []
    for group in _groups(paths):
        changes = array(group, "delta_loss", 2).astype(np.float64)
        bins, counts = np.unique(np.floor(changes / WIDTH), return_counts=True)
        steps = {name: step_of(group, name) for name in ("step", "step_next")}
        edges = {"low": bins * WIDTH, "high": (bins + 1) * WIDTH}
        frames.append(pd.DataFrame({"run": run, **steps, **edges, "count": counts}))
    return pd.concat(frames).sort_values(["step", "low"], ignore_index=True)


def gradient_opposition_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Mean proxy D of every checkpoint in the gradient-opposition files ``paths``."""
    return _scalars(run, paths, ("D_proxy", "D_proxy_with_embeddings"))


def token_gradients_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Mean D, C_g, C_uG and C_ug of every checkpoint in the token-gradient files ``paths``.

    What an estimator does not give is empty: D of sampled tokens, standard errors when exact.
    """
    of_gradients = ("D_grad", "D_grad_with_embeddings", "D_proxy")
    of_changes = ("C_g", "C_uG", "C_ug", "D_first_order", "C_g_se", "C_ug_se", "C_g_floor")
    return _scalars(run, paths, (*of_gradients, *of_changes))


def single_step_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Every single step in the files ``paths``: one row per checkpoint and batch."""
    by_split = [f"{name}_{split}" for split in ("train", "eval") for name in ("D", "M", "mean")]
    by_batch = [*by_split, "update_norm", "grad_norm_train", "cos_train", "cos_eval"]
    frames = []
    for group in _groups(paths):
        columns = {name: array(group, name, 1) for name in by_batch}
        scalars = {name: scalar(group, name) for name in ("grad_norm_eval", "M_noop")}
        batch = np.arange(len(columns["update_norm"]))
        step = step_of(group)
        _same_length(group, columns.values())
        frames.append(
            pd.DataFrame({"run": run, "step": step, "batch": batch, **columns, **scalars})
        )
    return pd.concat(frames).sort_values(["step", "batch"], ignore_index=True)


def cross_section_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Correlation, D and sharpness of every checkpoint in the cross-section files ``paths``."""
    names = ("update_norm", "r_jvp", "r_fd", "D", "D_first_order", "sharpness", "sharpness_window")
    return _scalars(run, paths, names).rename(columns={"sharpness_window": "window"})


def landscapes(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Mean loss along the next update, one row per checkpoint and alpha, the fine grid included."""
    frames = []
    for group in _groups(paths):
        parts = []
        for fine, mean in (("", "mean_cross_section"), ("fine_", "fine_mean_cross_section")):
            alpha, loss = array(group, f"{fine}alpha", 1), array(group, mean, 1)
            _same_length(group, (alpha, loss))
            parts.append(pd.DataFrame({"alpha": alpha, "mean_loss": loss}))
        table = pd.concat(parts).drop_duplicates("alpha").sort_values("alpha", ignore_index=True)
        zero = table.loc[table["alpha"] == 0, "mean_loss"]
        if zero.empty:
            raise _damaged(group, "no alpha is 0")
        start = float(zero.iloc[0])
        table["delta_loss"] = table["mean_loss"] - start
        table.insert(0, "run", run)
        table.insert(1, "step", step_of(group))
        table.insert(2, "update_norm", scalar(group, "update_norm"))
        frames.append(table)
    return pd.concat(frames).sort_values(["step", "alpha"], ignore_index=True)


def token_landscapes(run: str, paths: Sequence[Path], *, tokens: int, seed: int) -> pd.DataFrame:
    """Loss changes of sampled tokens along the next update, at the even alphas and the step.

    The same ``tokens`` are drawn for every checkpoint, all if there are fewer. ``delta_loss``
    is rounded to 1e-4 nats.
    """
    frames = []
    for group in _groups(paths):
        alpha, norm = array(group, "alpha", 1), scalar(group, "update_norm")
        kept = np.isin(alpha, [*array(group, "even_alpha", 1), norm])
        losses = array(group, "cross_section", 3)
        _same_length(group, (alpha, losses))
        losses = losses.reshape(len(alpha), -1)
        n = losses.shape[1]
        chosen = np.sort(np.random.default_rng(seed).choice(n, min(tokens, n), replace=False))
        if (alpha == 0).sum() != 1:
            raise _damaged(group, "not one alpha is 0")
        change = losses[kept][:, chosen] - losses[alpha == 0][:, chosen]
        frames.append(
            pd.DataFrame(
                {
                    "run": run,
                    "step": step_of(group),
                    "update_norm": norm,
                    "token": np.repeat(chosen, kept.sum()),
                    "alpha": np.tile(alpha[kept], len(chosen)),
                    "delta_loss": change.T.ravel().astype(np.float64).round(4),
                }
            )
        )
    return pd.concat(frames).sort_values(["step", "token", "alpha"], ignore_index=True)


def _groups(paths: Sequence[Path]) -> Iterator[h5py.Group]:
    """The checkpoints in ``paths``."""
    for path in paths:
        with reading(path) as file:
            yield from checkpoints(file)


def _same_length(group: h5py.Group, arrays: Iterable[np.ndarray]) -> None:
    if len(lengths := {len(values) for values in arrays}) > 1:
        raise _damaged(group, f"arrays of one length have {sorted(lengths)} rows")


def _damaged(group: h5py.Group, said: str) -> MeasurementError:
    where = f"{group.file.filename}: {group.name}"
    return MeasurementError(f"{where}: {said}; delete the file and run again")


def _scalars(run: str, paths: Sequence[Path], names: Sequence[str]) -> pd.DataFrame:
    """One row per checkpoint with the datasets ``names``, NaN where there is none."""
    rows = []
    for group in _groups(paths):
        values = {name: scalar(group, name) if name in group else np.nan for name in names}
        rows.append({"run": run, "step": step_of(group), **values})
    return pd.DataFrame(rows).sort_values("step", ignore_index=True)


def gradient_histograms(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Histogram of the proxy D over coordinates, one row per checkpoint and bin."""
    frames = []
    for group in _groups(paths):
        edges, counts = array(group, "D_hist/edges", 1), array(group, "D_hist/counts", 1)
        _same_length(group, (edges[:-1], counts))
        values = {"low": edges[:-1], "high": edges[1:], "count": counts}
        frames.append(pd.DataFrame({"run": run, "step": step_of(group), **values}))
    return pd.concat(frames).sort_values(["step", "low"], ignore_index=True)


CURVES: dict[str, Callable[..., pd.DataFrame]] = {
    "eval_loss": eval_loss_curve,
    "delta_loss": delta_loss_curve,
    "step_grids": step_grids_curve,
    "gradient_opposition": gradient_opposition_curve,
    "gradient_histograms": gradient_histograms,
    "token_gradients": token_gradients_curve,
    "single_step": single_step_curve,
    "cross_section": cross_section_curve,
    "landscapes": landscapes,
    "token_landscapes": token_landscapes,
    "token_changes": token_changes,
    "downstream": downstream_curve,
}
"""What makes each kind of curve from a run's measurement files."""
