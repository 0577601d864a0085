"""From YAML files to a checked experiment with resolved runs.

All errors are :class:`~zsl.errors.ConfigError`, one line per mistake, each naming the key,
the value and a way out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zsl.config.base import nearest
from zsl.config.checks import problems
from zsl.config.grids import Layout, Segment
from zsl.config.imported import Imported, ImportedCurve
from zsl.config.misread import answers_for_numbers, misread, unreadable, way_out
from zsl.config.schema import EXTENSIBLE, Corpus, Experiment, Run
from zsl.config.yaml_files import read_values
from zsl.errors import BrokenFileError, ConfigError, printable
from zsl.files import read_json

PUBLISHED_FILE = "bnsl_fit.json"
MISTAKES = 20
"""So many are said at once."""
LONGEST = 2000
"""Characters of what is said of a mistake, which may quote it."""
SHOWN = 200
"""Characters of a wrong value that are shown."""
PUBLISHED_NOTE = "train loss published by the paper's authors, from ZSL_PUBLISHED_DIR"


@dataclass(frozen=True)
class Plan:
    """An experiment whose runs are resolved."""

    experiment: Experiment
    """The checked configuration."""
    runs: dict[str, Run]
    """Runs that are measured, by run id (``<suite>-<name>``), in the order of the configuration;
    those with a ``source`` were trained elsewhere."""
    imported: dict[str, ImportedCurve]
    """The curves of runs not trained here, by run id, in the order of the configuration."""
    seeds: dict[str, list[str]]
    """Run ids of the repetitions of a run with other seeds, by its run id."""

    @cached_property
    def trained(self) -> dict[str, Run]:
        """Runs that are trained here, by run id."""
        return {id: run for id, run in self.runs.items() if run.source is None}

    @cached_property
    def logged_elsewhere(self) -> dict[str, ImportedCurve]:
        """The train losses that others logged, by run id."""
        own = {id: run.source.train_loss for id, run in self.runs.items() if run.source}
        return {id: curve for id, curve in own.items() if curve} | self.imported

    def layout(self, id: str) -> Layout:
        """Segments, checkpoints and measurement files of a run."""
        return self._layouts[id]

    @cached_property
    def _layouts(self) -> dict[str, Layout]:
        block = self.experiment.measurements.block
        return {
            id: Layout.of_others(run.source.steps)
            if run.source
            else Layout.of(run.steps, run.checkpoints, block)
            for id, run in self.runs.items()
        }

    def corpus(self, id: str) -> Corpus:
        """The corpus a run is trained on."""
        return self.experiment.corpora[self.runs[id].corpus]

    def segment_settings(self, id: str, segment: Segment) -> Run:
        """The run's settings as far as they matter for a segment.

        The total number of steps is left out where the schedule does not depend on it, so
        that a longer run shares the segments of a shorter one.
        """
        run = self.runs[id]
        owned = self.layout(id).owned(segment)
        steps = segment.end if run.schedule.name in EXTENSIBLE else run.steps
        kept = run.checkpoints.model_copy(
            update={"also": owned, "decades": False, "every": None, "extended_from": []}
        )
        return run.model_copy(update={"steps": steps, "checkpoints": kept})

    def cut(self, id: str) -> int:
        """Last step that is left out of a run's fit."""
        cut = self.experiment.suites[id.split("-", 1)[0]].cut
        return self.experiment.fits.cut if cut is None else cut

    def run_ids(self, suite: str) -> list[str]:
        """Run ids of a suite, trained ones first, each in the order of the configuration.

        Repetitions with other seeds are left out.
        """
        again = {id for ids in self.seeds.values() for id in ids}
        ids = [id for id in (*self.runs, *self.imported) if id not in again]
        return [id for id in ids if id.split("-", 1)[0] == suite]


def read_yaml(path: str | Path) -> dict[str, Any]:
    """One configuration file; an unreadable one is an error with file and line."""
    try:
        values = read_values(path)
        wrong = misread(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except BrokenFileError as error:
        raise ConfigError(f"{error}{unreadable(path)}") from None
    except ValueError as error:  # of a path that no file can have
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if wrong:
        raise ConfigError("\n".join(f"{path}: {line}" for line in wrong[:MISTAKES]))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` merged into ``base``, mappings key by key, everything else replaced.

    The same rule as Snakemake's for several ``--configfile``.
    """
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def load(paths: Iterable[str | Path]) -> Plan:
    """The plan of one or more configuration files, later ones merged over earlier ones."""
    values: dict[str, Any] = {}
    for path in paths:
        values = merge(values, read_yaml(path))
    return resolve(values)


def resolve(values: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Plan:
    """Check a merged configuration and resolve its runs.

    ``ZSL_PUBLISHED_DIR`` in ``environ`` replaces the download of a suite's curves of the authors
    by the file of that folder if it holds any of them; those that it does not hold are left out,
    and the note says so.

    Raises ConfigError with one line per mistake.
    """
    experiment = _validated(Experiment, values, ())
    runs: dict[str, Run] = {}
    imported: dict[str, ImportedCurve] = {}
    seeds: dict[str, list[str]] = {}
    for suite_name, suite in experiment.suites.items():
        of_suite: dict[str, Run] = {}
        for name, settings in suite.runs.items():
            where = ("suites", suite_name, "runs", name)
            merged = merge(suite.defaults, settings)
            of_suite[f"{suite_name}-{name}"] = _validated(Run, merged, where)
        runs |= _with_own_copies(suite_name, of_suite, environ)
        for name, repeats in suite.repeat.items():
            seeds |= _repeated(suite_name, name, repeats, runs)
        if suite.imported is not None:
            for name, curve in _imported(suite_name, suite.imported, environ).items():
                if (id := f"{suite_name}-{name}") in runs:
                    raise ConfigError(
                        f"suites.{suite_name}.imported.runs.{name}: is also among its runs; "
                        "give one of the two another name"
                    )
                imported[id] = curve
    again = {id for ids in seeds.values() for id in ids}  # with the mistakes of what they repeat
    found = problems(experiment, {id: run for id, run in runs.items() if id not in again})
    if found:
        raise ConfigError("\n".join(found))
    return Plan(experiment, runs, imported, seeds)


def _repeated(
    suite: str, name: str, seeds: Sequence[int], runs: dict[str, Run]
) -> dict[str, list[str]]:
    """Add a run's repetitions with other seeds to ``runs``; their ids by that of the run."""
    id = f"{suite}-{name}"
    if id not in runs:
        known = nearest(name, [run.split("-", 1)[1] for run in runs])
        raise ConfigError(f"suites.{suite}.repeat.{name}: there is no such run; {known}")
    if runs[id].source:
        raise ConfigError(
            f"suites.{suite}.repeat.{name}: was trained elsewhere; give each seed as a run"
        )
    used = [runs[id].seed, *seeds]
    if len(set(used)) < len(used):
        raise ConfigError(
            f"suites.{suite}.repeat.{name} = {list(seeds)}: seeds, the run's own {used[0]} among "
            "them, must differ; the same seed gives the same run"
        )
    again = {f"{id}_seed{seed}": runs[id].model_copy(update={"seed": seed}) for seed in seeds}
    for repetition, run in again.items():
        if runs.setdefault(repetition, run) != run:
            raise ConfigError(
                f"suites.{suite}.repeat.{name} = {list(seeds)}: there is another run "
                f"{repetition}; give it another name"
            )
    return {id: list(again)}


def _imported(
    suite: str, imported: Imported, environ: Mapping[str, str]
) -> dict[str, ImportedCurve]:
    """The imported curves of a suite by name, the authors' from the user's own copy if any."""
    curves: dict[str, ImportedCurve] = {}
    for name, settings in imported.runs.items():
        where = ("suites", suite, "imported", "runs", name)
        curves[name] = _validated(ImportedCurve, merge(imported.defaults, settings), where)
    own, missing = _own_copies(curves, environ)
    return {name: curve for name, curve in own.items() if name not in missing}


def _own_copies(
    curves: dict[str, ImportedCurve], environ: Mapping[str, str]
) -> tuple[dict[str, ImportedCurve], list[str]]:
    """The curves, those of the authors from the user's own copy where it holds any of them; and
    the names of those that it lacks then."""
    folder = environ.get("ZSL_PUBLISHED_DIR")
    theirs = {
        name: curve.name or name
        for name, curve in curves.items()
        if curve.format == "authors" and curve.url is not None
    }
    if not folder or not theirs:
        return curves, []
    path = Path(folder) / PUBLISHED_FILE
    if not path.is_file():
        raise ConfigError(
            f"ZSL_PUBLISHED_DIR = {folder}: holds no {PUBLISHED_FILE}; "
            "correct the folder or unset the variable"
        )
    held = _names_in(path)
    missing = [name for name, key in theirs.items() if key not in held]
    if len(missing) == len(theirs):
        return curves, []
    note = PUBLISHED_NOTE + (f"; not in it: {', '.join(missing)}" if missing else "")
    copy = {"url": None, "sha256": None, "path": str(path), "note": note}
    here = theirs.keys() - set(missing)
    return {
        name: curve.model_copy(update=copy) if name in here else curve
        for name, curve in curves.items()
    }, missing


def _with_own_copies(
    suite: str, runs: dict[str, Run], environ: Mapping[str, str]
) -> dict[str, Run]:
    """The runs of a suite, whose train losses come from the user's own copy where it has them."""
    sources = {id.removeprefix(f"{suite}-"): run.source for id, run in runs.items()}
    logged = {name: s.train_loss for name, s in sources.items() if s and s.train_loss}
    changed = dict(runs)
    for name, curve in _own_copies(logged, environ)[0].items():
        source = sources[name]
        assert source is not None
        own = source.model_copy(update={"train_loss": curve})
        changed[f"{suite}-{name}"] = runs[f"{suite}-{name}"].model_copy(update={"source": own})
    return changed


def _names_in(path: Path) -> set[str]:
    """The models of a file of published curves."""
    try:
        held = read_json(path)
    except BrokenFileError as error:
        raise ConfigError(str(error)) from None
    if not isinstance(held, dict):
        raise ConfigError(f"{path}: expected curves by the names of models; get the file again")
    return set(held)


def _validated(kind: type[Any], values: Mapping[str, Any], where: tuple[str, ...]) -> Any:
    try:
        found = kind.model_validate(values)
    except ValidationError as error:
        items = error.errors(include_url=False)
        lines = [_line(item, values, where) for item in items[:MISTAKES]]
        left = [f"and {len(items) - MISTAKES} more mistakes"] if items[MISTAKES:] else []
        raise ConfigError("\n".join([*lines, *left])) from None
    if words := [*answers_for_numbers(values, found.model_dump(), where)]:
        raise ConfigError("\n".join(words))
    return found


def _line(item: Any, values: Mapping[str, Any], where: tuple[str, ...]) -> str:
    parts = _without_tags(item["loc"], values, missing=item["type"] == "missing")
    key = ".".join(_key(part) for part in (*where, *parts)) or "configuration"
    message = printable(item["msg"].removeprefix("Value error, "))[:LONGEST]
    value = item.get("input")
    shown = "" if isinstance(value, dict) or item["type"] == "missing" else f" = {_shown(value)}"
    return f"{key}{shown}: {message}{way_out(item['type'], value)}"


def _key(part: Any) -> str:
    """A key as it is written, quoted where it is none that could be right."""
    text = str(part)
    return text if re.fullmatch(r"[\w.\[\]-]{1,64}", text) else _shown(text)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes out no more than some thousand digits
        return "a number of too many digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text):,} characters)"


def _without_tags(loc: Sequence[Any], values: Any, missing: bool) -> list[Any]:
    """The keys of a mistake as they are written: pydantic names the members of unions, too."""
    parts, entered = [], True
    for position, part in enumerate(loc):
        # A tag may be a key as well: of a distribution's files, for one.
        if entered and isinstance(values, Mapping) and part == values.get("kind"):
            entered = False
            continue
        try:
            values, entered = values[part], True
        except (LookupError, TypeError):
            last = position == len(loc) - 1
            if part != "[key]" and not (missing and last):
                continue
        parts.append(part)
    return parts
