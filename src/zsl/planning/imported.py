"""What jobs would say of imported curves, before any of them runs."""

from __future__ import annotations

from pathlib import Path

from zsl.config.load import Plan
from zsl.errors import BrokenFileError


def check_imported(plan: Plan) -> None:
    """Read every imported curve that is here as its job will; downloads are read by theirs alone.

    Raises ZslError where the job, or the fit that follows it, would fail.
    """
    curves = plan.experiment.curves
    for id, source in plan.imported.items():
        if source.path is None:
            continue
        from zsl.curves.imported import imported_curve  # imports pandas
        from zsl.fits.bnsl import NAMES

        path, cut = Path(source.path), plan.cut(id)
        try:
            table, _, _ = imported_curve(id, source, path, k=curves.k, first=curves.first)
        except OSError as error:
            key = "suites.{}.imported.runs.{}.path".format(*id.split("-", 1))
            raise BrokenFileError(
                f"{key} = {source.path!r}: {error.strerror}; correct the path"
            ) from None
        left = int((table["step"] > cut).sum())
        if left <= len(NAMES):
            raise BrokenFileError(
                f"{path}: the curve of {id} ends at step {table['step'].iloc[-1]} and has {left} "
                f"losses after the cut at step {cut}; a fit needs {len(NAMES) + 1}: lower the cut "
                "(fits.cut, or cut of the suite)"
            )
