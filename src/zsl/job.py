"""What every workflow script does around its one library call.

``with job(snakemake):`` fixes the number of threads before numpy and torch are imported,
logs to the rule's log file and the terminal, writes the lineage record when the block
succeeds, and turns an error the user can act on (a full disk is one) into one clean line and
exit code 1. The job ends when its Snakemake does. All other imports of a script stand inside
the block.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

from zsl.disk import disk_error
from zsl.errors import FOR_GOOD, ZslError, may_pass, printable
from zsl.running import end_with_snakemake

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@contextmanager
def job(snakemake: Any, **named: Any) -> Iterator[dict[str, Any]]:
    """Run the body of a script as a recorded, logged job; ``named`` as for ``recorded``.

    Yields a dict for further facts of the record.
    """
    fix_threads(getattr(snakemake.params, "threads", 1))
    try:
        _log_to(Path(snakemake.log[0]), _title(snakemake))
        end_with_snakemake()
        _sweep(snakemake.output)
        from zsl.lineage.record import recorded

        with recorded(snakemake, **named) as facts:
            yield facts
    except ZslError as error:
        logging.getLogger("zsl").error("%s", printable(str(error)))
        _say_for_good(error)
        sys.exit(1)
    except Exception as error:
        if trouble := disk_error(error, Path(snakemake.output[0]).parent):
            logging.getLogger("zsl").error("%s", printable(str(trouble)))
            sys.exit(1)
        logging.getLogger("zsl").exception("a fault of the workflow, not of its input:")
        _say_for_good(error)
        raise


def _say_for_good(error: Exception) -> None:
    """On a cluster, where a job that failed is submitted again."""
    if "SLURM_JOB_ID" in os.environ and not may_pass(error):
        logging.getLogger("zsl").error(FOR_GOOD)


def fix_threads(threads: int) -> None:
    """Let numerical libraries that are imported later use ``threads`` threads."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)


def _sweep(outputs: Iterable[str]) -> None:
    """Remove what an earlier attempt that was killed had begun to write (``zsl.files``)."""
    for path in map(Path, outputs):
        for begun in path.parent.glob(f".{escape(path.name)}.*{escape(path.suffix)}"):
            if begun.is_file():
                begun.unlink(missing_ok=True)


def _title(snakemake: Any) -> str:
    return " ".join([snakemake.rule, *map(str, snakemake.wildcards)])


def _log_to(path: Path, title: str) -> None:
    logging.raiseExceptions = False  # a full disk is reported once, not for every line
    path.parent.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(path, mode="w", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(logging.Formatter(f"[{title}] %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[file, terminal], force=True)
    logging.getLogger("zsl").setLevel(logging.INFO)
