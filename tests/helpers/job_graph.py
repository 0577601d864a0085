"""The jobs of an experiment as ``zsl plan`` counts them, by the names that their records have.

Snakemake's own graph, from rules and fingerprints, is what tests hold against this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from zsl import registry
from zsl.config.load import Plan, resolve
from zsl.config.measurements import MEASUREMENT_OF
from zsl.planning.jobs import CURVE_RULES, Job, Jobs

KIND_OF = {rule: kind for kind, rule in CURVE_RULES.items()}
SHOWN = ("figure", "table")


def name(job: Job) -> str:
    """A job by the path that its record has in common with its artifact, such as
    ``fits/main-small``."""
    if job.rule in SHOWN:
        return f"{job.rule}s/{job.of}"
    if job.rule == "tokens":
        return f"data/{job.of}/manifest"
    if job.rule == "published_curves":
        return f"data/published/{job.of}"
    if job.rule == "train":
        return f"training/{job.of}/{job.part}"
    if job.rule == "fit":
        return f"fits/{job.of}"
    if job.rule == "compare":
        return "compare/compare"
    if job.rule == "provenance":
        return "provenance/root"
    if job.rule in MEASUREMENT_OF.values():
        return f"measurements/{job.rule}/{job.of}/{job.part}"
    kind = job.part or KIND_OF.get(job.rule, "train_loss")
    return f"curves/{kind}/{job.of}"


def graph_of(values: Mapping[str, Any]) -> Graph:
    """The jobs of a configuration, without what the authors published."""
    return Graph(resolve(values, environ={}))


@dataclass(frozen=True)
class Graph:
    """The jobs of everything that an experiment makes, and which come before which."""

    plan: Plan

    @cached_property
    def names(self) -> frozenset[str]:
        """All jobs."""
        return frozenset(self._jobs)

    @cached_property
    def _up_to(self) -> dict[str, set[str]]:
        """Of each job, itself and all jobs that come before it."""
        found = {}
        for each, job in self._jobs.items():
            needed = self._all.needed([registry.BY_ID[job.of]]) if job.rule in SHOWN else {job}
            found[each] = {name(other) for other in self._all.closure(needed)}
        if "compare/compare" in found:
            folder = files("zsl.tables") / "paper"
            tables = [job.of for job in self._jobs.values() if job.rule == "table"]
            compared = [table for table in tables if (folder / f"{table}.csv").is_file()]
            found["compare/compare"].update(*(found[f"tables/{table}"] for table in compared))
        if "provenance/root" in found:
            found["provenance/root"] = set(self._jobs)
        return found

    @cached_property
    def _all(self) -> Jobs:
        return Jobs(self.plan)

    @cached_property
    def _jobs(self) -> dict[str, Job]:
        jobs = self._all.everything(registry.available(self.plan))
        return {name(job): job for job in jobs if job.rule != "all"}

    def of(self, *folders: str, suite: str = "", run: str = "") -> set[str]:
        """The jobs of some folders of results, such as ``curves/eval_loss``; those of one suite
        or one run alone if it is named. There is one at least in each."""
        found: set[str] = set()
        for folder in folders:
            inside = {
                each
                for each, job in self._jobs.items()
                if each.startswith(f"{folder}/")
                and job.of.startswith(f"{suite}-" if suite else "")
                and run in ("", job.of)
            }
            assert inside, f"no job of {folder} {suite}{run}"
            found |= inside
        return found

    def settings(self, suite: str) -> set[str]:
        """The targets that read the settings of a suite's runs."""
        shown = registry.available(self.plan)
        return {f"{t.kind}s/{t.id}" for t in shown if t.settings and suite in t.suites}

    def before(self, asked: Iterable[str]) -> set[str]:
        """These jobs and all that come before them."""
        return set().union(*(self._up_to[each] for each in asked))

    def after(self, changed: Iterable[str]) -> set[str]:
        """These jobs and all that follow from them."""
        first = set(changed)
        assert first <= self.names, first - self.names
        return {each for each, before in self._up_to.items() if before & first}
