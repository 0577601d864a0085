"""Lineage records: from what, by what and how each artifact was made.

In a rule, the record is an output named ``lineage``, in a tree parallel to the artifacts::

    rule fit:
        input:
            curve="results/mini/curves/train_loss/{run}.csv",
        output:
            fit="results/mini/fits/{run}.json",
            lineage="results/mini/lineage/fits/{run}.json",
        params:
            cut=100,
            code=fingerprint("workflow/scripts/fit.py"),
            packages=pins("numpy", "scipy"),
        script:
            "../scripts/fit.py"

and in its script::

    with recorded(snakemake, __file__):
        write_fit(snakemake.input.curve, snakemake.output.fit, cut=snakemake.params.cut)

A record names no host and no path of a machine. Inputs carry the digests that the records of
their makers carry as outputs, and the digests of these records themselves, which is how records
chain: :mod:`zsl.lineage.history` keeps all of them.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zsl.files import sha256, sha256_of_json, write_json
from zsl.lineage import machine
from zsl.lineage.artifacts import Declared, described
from zsl.lineage.errors import LineageError
from zsl.lineage.fingerprint import ROOT, is_inside, is_left_out, modules_of
from zsl.lineage.history import keep_code, keep_record, lineage_folder, made
from zsl.lineage.pins import installed_versions
from zsl.lineage.unchanged import require_as_made, require_unchanged, stamps
from zsl.lineage.values import plain, portable, seeds

SCHEMA = 1
"""Version of the records' structure; one that adds keys keeps it."""


@contextmanager
def recorded(
    job: Any,
    script: str | Path | None = None,
    *,
    modules: Sequence[str] = (),
    files: Sequence[str | Path] = (),
    trust: bool = True,
    root: Path = ROOT,
) -> Iterator[dict[str, Any]]:
    """Write the lineage record of a job when the block succeeds; none when it does not.

    ``job`` is the ``snakemake`` object of a script (or one like it), ``script`` its
    ``__file__``; ``modules`` and ``files`` are those named to ``fingerprint`` in the rule.
    With ``trust``, inputs that a manifest among the inputs names are cited, not read. Yields
    a dict for further facts that the script knows (plain values), recorded as ``facts``.

    Raises :class:`LineageError` where the rule declares no output ``lineage``, a parameter
    is not a plain value, a declared file is missing, an input is not what its job wrote, or
    changes while this one runs.
    """
    outputs = _declared(job.output)
    path = _record_path(outputs, job.rule)
    kept = lineage_folder(path)
    path.unlink(missing_ok=True)
    read = [item.path for item in _read(job.input)]
    before = stamps(read)
    started, clock = datetime.now(UTC), time.monotonic()
    script = script or getattr(sys.modules["__main__"], "__file__", None)
    loaded = set(sys.modules)
    parameters = plain(named_values(job.params), f"params of rule {job.rule}", root)
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "path": portable(path, root)[0],
        "rule": job.rule,
        "wildcards": plain(named_values(job.wildcards), "wildcards", root),
        "params": parameters,
        "seeds": seeds(parameters),
        "code": _code(script, modules, files, root),
        "git": machine.revision(root),
        "inputs": _inputs(job, kept, trust, root),
    }
    keep_code(record["code"].get("modules", {}), path, root)
    facts: dict[str, Any] = {}
    yield facts
    require_unchanged(before, read)
    ended, seconds = datetime.now(UTC), time.monotonic() - clock
    record["outputs"] = described([item for item in outputs if item.path != path], root=root)
    record["code"] |= _undeclared(set(sys.modules) - loaded, record["code"])
    record |= {
        "facts": plain(facts, "facts", root),
        "environment": _environment(root),
        "device": machine.device(),
        "threads": machine.threads(getattr(job, "threads", None)),
        "scheduler": machine.scheduler(),
        "peak_memory_bytes": machine.peak_memory_bytes(),
        "time": {"start": _utc(started), "end": _utc(ended), "seconds": round(seconds, 3)},
    }
    write_json(path, {key: value for key, value in record.items() if value not in ({}, None)})
    keep_record(path)


def _inputs(job: Any, folder: Path, trust: bool, root: Path) -> list[dict[str, Any]]:
    """Entries of the inputs, with the ``record`` of the job that made each, where one did."""
    declared = _read(job.input)
    known = [made(item.path, folder) for item in declared]
    entries = described(declared, trust=trust, root=root)
    for item, entry, maker in zip(declared, entries, known, strict=True):
        if maker:
            require_as_made(item.path, entry["sha256"], maker)
            entry["record"] = maker.record_sha256
    return entries


def _record_path(outputs: Sequence[Declared], rule: str) -> Path:
    paths = [item.path for item in outputs if item.name == "lineage"]
    if len(paths) != 1:
        raise LineageError(
            f"rule {rule} declares {len(paths)} outputs named lineage; declare "
            'lineage="results/<experiment>/lineage/<path of the artifact>.json"'
        )
    return paths[0]


def _read(inputs: Any) -> list[Declared]:
    """Inputs that a job reads: those named ``after`` are only waited for."""
    return [item for item in _declared(inputs) if item.name != "after"]


def _declared(files: Any) -> list[Declared]:
    """Files of a Namedlist (or a dict or list) in order, each with its keyword."""
    names: dict[str, str] = {}
    everything: list[Any] = list(files.values() if isinstance(files, Mapping) else files)
    for name, value in files.items() if hasattr(files, "items") else ():
        for path in [value] if isinstance(value, str | Path) else value:
            names.setdefault(str(path), name)
    flat = [
        path
        for value in everything
        for path in ([value] if isinstance(value, str | Path) else value)
    ]
    return [Declared(Path(path), names.get(str(path))) for path in flat]


def named_values(values: Any) -> dict[str, Any]:
    """Named values of a Namedlist or dict; those without a name are numbered."""
    named = dict(values.items())
    if isinstance(values, Mapping):
        return named
    unnamed = [value for value in values if not any(value is other for other in named.values())]
    return named | {str(index): value for index, value in enumerate(unnamed)}


def _code(
    script: str | Path | None, modules: Sequence[str], files: Sequence[str | Path], root: Path
) -> dict[str, Any]:
    """Fingerprint with its modules; empty where the script is not known."""
    if script is None or portable(Path(root, script), root)[1]:
        return {}
    digests = modules_of(script, modules, files, root)
    return {
        "script": portable(Path(root, script), root)[0],
        "fingerprint": sha256_of_json(digests),
        "modules": digests,
    }


def _undeclared(loaded: set[str], code: Mapping[str, Any]) -> dict[str, list[str]]:
    """Modules of the package that were imported in the block and that no fingerprint counts."""
    ours = {name for name in loaded if is_inside(name) and not is_left_out(name)}
    unknown = sorted(ours - set(code.get("modules", ())))
    return {"undeclared": unknown} if unknown and code else {}


def _environment(root: Path) -> dict[str, Any]:
    lock = root / "requirements.lock"
    facts: dict[str, Any] = {"lock_sha256": sha256(lock)} if lock.is_file() else {}
    python = {"python": platform.python_version()}
    return {**facts, **python, "packages": installed_versions()}


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
