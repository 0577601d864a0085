"""What tables and figures read: the runs of an experiment with their curves and fits.

Contracts of the files (all losses in nats, all steps in optimizer steps):

``curves/train_loss/<run>.csv``
    ``run, step, train_loss, smoothed_train_loss``: subsampled steps; ``train_loss`` is the
    logged batch loss of that step (empty if imported smoothed), smoothed by LSMA_k (A.2).
``curves/train_loss/<run>.json``
    Of an imported curve: ``note``, in words, and what was found in its file, by the fields of
    :class:`zsl.curves.imported.Facts`.
``curves/eval_loss/<run>.csv``
    ``run, step, eval_loss``: mean over the evaluation tokens, one row per checkpoint.
``curves/step_grids/<run>.csv``
    ``grid`` and the columns of delta_loss: between the neighbours of the grids of Fig. 15,
    ``doublings``, ``decades``, ``every``.
``curves/delta_loss/<run>.csv``
    ``run, step, step_next, D, M, mean, abs_dL, D_low, D_high, M_low, M_high``: change from
    ``step`` to ``step_next`` of the evaluation losses (Eqs. 3, 5, 6); ``mean`` is signed,
    improvement is negative; ``*_low`` and ``*_high`` end 95 % intervals over evaluation
    sequences. Measurements of gradients have none: their sums are over all sequences.
``curves/breakdown/<run>.csv``
    ``run, step, step_next, by, low, high, n, D, M, mean``: the same of groups of ``n`` tokens,
    ``by`` their ``position`` (tokens of context, from ``low`` to ``high``) or the ``frequency``
    in the training tokens of the token predicted (share from ``low`` to ``high``).
``curves/token_changes/<run>.csv``
    ``run, step, step_next, low, high, count``: evaluation tokens by the change of their loss, over
    the intervals of delta_loss.
``curves/gradient_opposition/<run>.csv``
    ``run, step, D_proxy, D_proxy_with_embeddings``: mean over the coordinates of the weights of
    the proxy gradient destructive interference (Eq. 4, A.3), one row per checkpoint.
``curves/gradient_histograms/<run>.csv``
    ``run, step, low, high, count``: coordinates of all but embedding weights by their D.
``curves/token_gradients/<run>.csv``
    ``run, step, D_grad, D_grad_with_embeddings, D_proxy, C_g, C_uG, C_ug, D_first_order, C_g_se,
    C_ug_se, C_g_floor``: true per-token gradients (Eqs. 10, 16-30), the proxy on the tokens of
    ``D_grad``, and C_g of gradients with random signs; ``D_grad*`` are empty of sampled
    tokens, ``*_se`` when exact.
``curves/single_step/<run>.csv``
    ``run, step, batch, D_train, M_train, mean_train, D_eval, M_eval, mean_eval, update_norm,
    grad_norm_train, cos_train, cos_eval, grad_norm_eval, M_noop``: one real optimizer step
    (Eq. 11, B.2), one row per checkpoint and batch; a cosine is negative where the loss falls.
``curves/cross_section/<run>.csv``
    ``run, step, update_norm, r_jvp, r_fd, D, D_first_order, sharpness, window``: along the next
    update (Section 3.4); ``sharpness`` in nats per squared parameter norm.
``curves/landscapes/<run>.csv``
    ``run, step, update_norm, alpha, mean_loss, delta_loss``: mean over the tokens (B.5).
``curves/token_landscapes/<run>.csv``
    ``run, step, update_norm, token, alpha, delta_loss``: sampled tokens (B.4).
``curves/downstream/<run>.csv``
    ``run, step, task, accuracy, se, chance, items, cut``: multiple-choice tasks (B.3), one row
    per checkpoint and task; ``cut`` counts items longer than the model's context.
``fits/<run>.json``
    The one-break BNSL (Eq. 1) of the smoothed train loss: ``run, imported, note, T, cut, k,
    n_points, RSLE, L_d, t_d, r_d, L_hat_T, L_T`` and ``parameters`` and ``errors`` with keys
    ``b, c_0, c_1, log_d_1, f_1``, ``covariance`` in that order, and ``break_inside``: whether
    there is a break within the fitted steps at all. ``doubts``: why the deceleration is doubtful,
    in words by a short name; empty if it is not (:mod:`zsl.fits.verdict`). ``intervals``:
    ``[low, high]`` of 95 % by ``L_d, t_d, r_d, L_hat_T``; ``bootstrap``: ``replicates, block,
    seed, failed``.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from zsl.errors import BrokenFileError
from zsl.files import read_json, read_limited, replacing

LARGEST_CSV = 1 << 28
"""Bytes of a curve; the longest of ours have a fiftieth."""


@dataclass(frozen=True)
class RunInfo:
    """What a reader of a table or figure has to know about a run."""

    id: str
    """Run id, ``<suite>-<name>``."""
    label: str
    """Name within the suite, such as ``14M``: rows and legends show it."""
    imported: bool
    """Whether its curve is imported, not made here."""
    n_parameters: int | None
    """All parameters, embeddings included; None when imported."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The resolved settings of the run, if the target asks for them (empty when imported)."""
    step_flops: float | None = None
    """FLOPs of a training step, if the target asks for them (None when imported)."""
    logged_elsewhere: bool = False
    """Of a run that is measured here: whether its train loss is that of others."""

    @property
    def suite(self) -> str:
        """The suite that the run is of."""
        return self.id.split("-", 1)[0]


@dataclass(frozen=True)
class Study:
    """Everything a table or figure may read, and nothing else."""

    experiment: str
    """Name of the experiment."""
    comparable: bool
    """Whether the paper's values may stand beside ours."""
    runs: tuple[RunInfo, ...]
    """Runs in the order of the configuration: smallest model first."""
    files: dict[str, tuple[Path, ...]]
    """Input files by kind: ``fits``, or the name of a folder of curves."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of the table or figure from the configuration."""
    sizes: tuple[str, ...] = ()
    """Labels of the model sizes, smallest first: those of suite main, which fix colours."""
    seeds: dict[str, list[str]] = field(default_factory=dict)
    """Run ids of the repetitions of a run with other seeds; their files are among ``files``."""

    def curve(self, kind: str) -> pd.DataFrame:
        """Rows of all runs of one kind of curve, in the order of ``runs``, with ``label``."""
        table = self._rows(kind)
        table = table[table["run"].isin([run.id for run in self.runs])].reset_index(drop=True)
        table.insert(1, "label", table["run"].map({run.id: run.label for run in self.runs}))
        return self.in_order(table)

    def in_order(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows in the order of ``runs``; those of a run stay as they are."""
        order = {run.id: position for position, run in enumerate(self.runs)}
        return table.iloc[table["run"].map(order).argsort(kind="stable")].reset_index(drop=True)

    def of_run(self, kind: str, run: str) -> pd.DataFrame:
        """Rows of one run, which may be a repetition with another seed."""
        table = self._rows(kind)
        return table[table["run"] == run].reset_index(drop=True)

    def all_rows(self, kind: str) -> pd.DataFrame:
        """Rows of all runs of one kind of curve, repetitions with other seeds included."""
        return self._rows(kind)

    def _rows(self, kind: str) -> pd.DataFrame:
        frames = [read_csv(path, ("run",)) for path in self.files[kind]]
        return pd.concat(frames, ignore_index=True)

    def all_fits(self) -> list[dict[str, Any]]:
        """The fits of all runs, repetitions with other seeds included."""
        return [_fit(path) for path in self.files["fits"]]

    def fits(self) -> list[dict[str, Any]]:
        """The fits, in the order of ``runs``."""
        by_run = {fit["run"]: fit for fit in self.all_fits()}
        return [by_run[run.id] for run in self.runs if run.id in by_run]

    def shown(self) -> dict[str, dict[str, Any]]:
        """T, and whether its curve is imported, of each run whose fit is read: for the record."""
        fits = self.all_fits() if "fits" in self.files else []
        return {fit["run"]: {"T": fit["T"], "imported": fit["imported"]} for fit in fits}

    def sound_fits(self) -> list[dict[str, Any]]:
        """Those of ``fits`` that found a deceleration: without doubts."""
        return [fit for fit in self.fits() if not fit["doubts"]]

    def labels(self) -> Sequence[str]:
        """Labels in the order of ``runs``."""
        return [run.label for run in self.runs]


def make_study(values: Mapping[str, Any], files: Mapping[str, str | Sequence[str]]) -> Study:
    """A study from plain values (the keys of Study but ``files``) and paths by kind."""
    paths = {
        kind: tuple(Path(path) for path in ([given] if isinstance(given, str) else given))
        for kind, given in files.items()
    }
    runs = tuple(RunInfo(**run) for run in values["runs"])
    sizes = tuple(values.get("sizes", ()))
    return Study(**{**values, "runs": runs, "sizes": sizes, "files": paths})


def _fit(path: Path) -> dict[str, Any]:
    fit = read_json(path)
    if not isinstance(fit, dict) or not isinstance(fit.get("run"), str):
        raise BrokenFileError(f"{path}: no fit of a run; delete it and run again")
    return fit


def read_csv(path: str | Path, columns: Collection[str] = ()) -> pd.DataFrame:
    """A table that :func:`write_csv` wrote, with the numbers it had.

    Raises BrokenFileError where it is no CSV or lacks one of ``columns``.
    """
    data = read_limited(path, LARGEST_CSV)
    try:
        table = pd.read_csv(io.BytesIO(data), float_precision="round_trip")
    except ValueError as error:  # those of pandas for empty, ragged and undecodable files are some
        raise BrokenFileError(f"{path}: not CSV ({error}); delete it and run again") from None
    if missing := [name for name in columns if name not in table.columns]:
        raise BrokenFileError(
            f"{path}: has no column {', '.join(missing)}; delete it and run again"
        )
    return table


def read_curve(path: str | Path) -> pd.DataFrame:
    """A run's train loss by step. Raises BrokenFileError where it holds anything else."""
    table = read_csv(path, ("step", "smoothed_train_loss"))
    steps, losses = table["step"], table["smoothed_train_loss"]
    if table.empty or steps.dtype.kind != "i" or losses.dtype.kind != "f":
        raise BrokenFileError(f"{path}: no losses by step; delete it and run again")
    if not steps.is_monotonic_increasing or not steps.is_unique:
        raise BrokenFileError(f"{path}: its steps do not ascend; delete it and run again")
    return table


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a tidy table with shortest round-trip floats, whole or not at all."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
