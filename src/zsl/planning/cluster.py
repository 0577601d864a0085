"""What a job asks a cluster for: by its rule, the size of its model, and what the site says.

The folder of a profile holds ``resources.yaml``, which comes with the workflow, and perhaps
``site.yaml``, which is the site's own and not tracked. Both are a :class:`Table`. What a job
needs is merged from the least to the most special: ``default``, then ``gpu`` if it uses one, then
its rule; of each of these, what the site says comes later.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError, field_validator

from zsl.config.base import Settings, nearest
from zsl.config.load import Plan, read_yaml
from zsl.errors import ConfigError, ZslError
from zsl.planning.growth import MOST, UNTRIED, Growth

SEVERAL = "train"
"""The one rule whose jobs can run as several processes."""
RESOURCES = (
    "mem_mb",
    "runtime",
    "slurm_account",
    "slurm_partition",
    "qos",
    "constraint",
    "slurm_extra",
    "gres",
    "gpu",
    "gpu_model",
    "nodes",
    "tasks",
    "tasks_per_gpu",
    "cpus_per_task",
    "processes",
    "mpi",
)
"""Snakemake's resources that a job may be given."""
SHIPPED, SITE = "resources.yaml", "site.yaml"


class Ceiling(Settings):
    """What no node of a partition has more of."""

    mem_mb: PositiveInt | None = None
    """Memory of its largest node, in MB."""
    runtime: PositiveInt | None = None
    """Its longest time limit, in minutes."""


class Needs(Settings):
    """What a job asks for; in a table, those of its keys that are given."""

    up_to: PositiveInt | None = None
    """Parameters, embeddings included, of the largest model that the row is for."""
    mem_mb: PositiveInt = 4000
    """Memory on each node, in MB."""
    runtime: PositiveInt = 30
    """Time limit, in minutes."""
    gpus: NonNegativeInt = 0
    """GPUs on each node."""
    gpu_option: Literal["gres", "gpus"] = "gres"
    """The option of sbatch by which GPUs are asked for."""
    gpu_model: str | None = None
    """A kind of GPU, by SLURM's name for it."""
    nodes: PositiveInt = 1
    """Number of nodes."""
    resumes: bool = False
    """Whether a job that is tried again goes on where it stopped, so that it asks for more only
    where SLURM said that its memory did not do. Other jobs begin anew, and ask for more time after
    a time limit, for more memory after any failure."""
    warning: PositiveInt | None = None
    """Seconds before the time limit at which SIGTERM announces it."""
    slurm_account: str | None = None
    """The account that is charged."""
    slurm_partition: str | None = None
    """The partition."""
    qos: str | None = None
    """The quality of service."""
    constraint: str | None = None
    """Features that the nodes must have."""
    slurm_extra: str | None = None
    """Further options of sbatch."""

    def resources(
        self, threads: int, growth: Growth = UNTRIED, ceiling: Ceiling | None = None
    ) -> dict[str, int | str]:
        """Values by name of :data:`RESOURCES`; ``threads`` are the cores of one process.

        What grows, grows up to the ceiling of the partition.
        """
        memory = growth.full if self.resumes else growth.memory
        time, most = 1 if self.resumes else growth.time, ceiling or Ceiling()
        warning = f"--signal=TERM@{self.warning}" if self.warning else None
        values = {
            "mem_mb": _grown(self.mem_mb, memory, most.mem_mb),
            "runtime": _grown(self.runtime, time, most.runtime),
            "slurm_account": self.slurm_account,
            "slurm_partition": self.slurm_partition,
            "qos": self.qos,
            "constraint": self.constraint,
            "slurm_extra": " ".join(filter(None, (warning, self.slurm_extra))) or None,
            **(self._of_gpus(threads) if self.gpus else {}),
        }
        return {name: value for name, value in values.items() if value is not None}

    def _of_gpus(self, threads: int) -> dict[str, int | str | None]:
        """One task a node, with the cores of all processes there.

        Left alone, the executor asks for one task a GPU; the job, which is a single task, then
        has the cores of a single process.
        """
        kind = ["gpu", *filter(None, [self.gpu_model]), str(self.gpus)]
        asked: dict[str, int | str | None] = (
            {"gres": ":".join(kind)}
            if self.gpu_option == "gres"
            else {"gpu": self.gpus * self.nodes, "gpu_model": self.gpu_model}
        )
        return {
            **asked,
            "nodes": self.nodes,
            "tasks_per_gpu": 0,
            "cpus_per_task": self.gpus * threads,
            "processes": self.gpus,
            **(self._of_nodes(self.gpus * threads) if self.nodes > 1 else {}),
        }

    def _of_nodes(self, cores: int) -> dict[str, int | str | None]:
        """How one command is started on every node. All is said, since the executor leaves to
        the job nothing of what sbatch was told but its number."""
        number = f"--nodes={self.nodes} --ntasks={self.nodes} --ntasks-per-node=1"
        return {
            "tasks": self.nodes,
            "mpi": f"srun {number} --cpus-per-task={cores} --cpu-bind=none",
        }


class Table(Settings):
    """What jobs ask for."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Options of Snakemake, over those of the profile."""
    default: Needs = Needs()
    """Of every job."""
    gpu: Needs = Needs()
    """Of jobs that use a GPU."""
    rules: dict[str, list[Needs]] = Field(default_factory=dict)
    """Of a rule's jobs; rows for larger and larger models, or one that is for all."""
    partitions: dict[str, Ceiling] = Field(default_factory=dict)
    """Up to where the needs of a job that is tried again may grow, by partition."""

    @field_validator("options")
    @classmethod
    def _not_resources(cls, options: dict[str, Any]) -> dict[str, Any]:
        for key in {"default-resources", "set-resources"} & options.keys():
            raise ValueError(f"{key} belongs below default, gpu or rules")
        return options

    @field_validator("rules", mode="before")
    @classmethod
    def _in_rows(cls, rules: Any) -> Any:
        if not isinstance(rules, dict):
            return rules
        return {rule: row if isinstance(row, list) else [row or {}] for rule, row in rules.items()}

    @field_validator("rules")
    @classmethod
    def _ascending(cls, rules: dict[str, list[Needs]]) -> dict[str, list[Needs]]:
        for rule, rows in rules.items():
            sizes = [float("inf") if row.up_to is None else row.up_to for row in rows]
            if sizes != sorted(set(sizes)):
                raise ValueError(
                    f"{rule}: rows are for larger and larger models; give each an up_to that is "
                    "above that of the row before it, and none to the last"
                )
        return rules

    def row(self, rule: str, parameters: int | None) -> Needs:
        """What is said of a rule's jobs with a model of some size; None: without a model."""
        for row in self.rules.get(rule, []):
            if row.up_to is None or (parameters is not None and parameters <= row.up_to):
                return row
        return Needs()

    def parts(self) -> Iterator[tuple[str, str | None, Needs]]:
        """Everything in it: key, rule if it is about one, needs."""
        yield "default", None, self.default
        yield "gpu", None, self.gpu
        for rule, rows in self.rules.items():
            yield from ((f"rules.{rule}", rule, row) for row in rows)


@dataclass(frozen=True)
class Cluster:
    """What comes with the workflow, and the site's own."""

    shipped: Table
    site: Table

    def needs(self, rule: str, *, gpu: bool, parameters: int | None = None) -> Needs:
        """Of a rule's jobs with a model of so many parameters; ``gpu``: whether they use one."""
        tables = (self.shipped, self.site)
        parts = [
            *(table.default for table in tables),
            *(table.gpu for table in tables if gpu),
            *(table.row(rule, parameters) for table in tables),
        ]
        given = [part.model_dump(exclude_unset=True, exclude={"up_to"}) for part in parts]
        return Needs(**{key: value for part in given for key, value in part.items()})

    def ceiling(self, needs: Needs) -> Ceiling:
        """Up to where the needs of a job may grow in its partition."""
        return self.site.partitions.get(needs.slurm_partition or "", Ceiling())


def read_cluster(folder: Path) -> Cluster:
    """The tables in the folder of a profile.

    Raises ConfigError with a line for each mistake: in a key, a value or the name of a rule, and
    where a rule is to run on several GPUs that cannot.
    """
    shipped = _table(folder / SHIPPED)
    path = folder / SITE
    site = _table(path) if path.exists() else Table()
    for key, rule, needs in site.parts():
        if rule is not None and rule not in shipped.rules:
            raise ConfigError(f"{path}: {key}: no such rule; {nearest(rule, [*shipped.rules])}")
        if rule != SEVERAL and max(needs.gpus, needs.nodes) > 1:
            raise ConfigError(
                f"{path}: {key}: only the jobs of {SEVERAL} can use several GPUs or nodes; say it "
                f"below rules.{SEVERAL}"
            )
    return Cluster(shipped, site)


def check_shares(cluster: Cluster, plan: Plan, parameters: dict[str, int]) -> None:
    """Raise ConfigError where the GPUs of a run cannot share its batch equally, or are none.

    ``parameters`` are the sizes of the models by run.
    """
    for id, run in plan.runs.items():
        needs = cluster.needs(SEVERAL, gpu=True, parameters=parameters[id])
        given = f"{SITE}: rules.{SEVERAL}: {needs.nodes} x {needs.gpus} GPUs"
        if needs.nodes > 1 and not needs.gpus:
            raise ConfigError(f"{given}: several nodes are for GPUs; give {id} one node")
        if run.batch_size % (max(needs.gpus, 1) * needs.nodes):
            raise ConfigError(
                f"{given} cannot share the batch_size {run.batch_size} of {id}; give it a number "
                "that divides it"
            )


def options(folder: str) -> dict[str, Any]:
    """What the site says of Snakemake's options; a mistake ends Snakemake in clean lines."""
    try:
        return read_cluster(Path(folder)).site.options
    except ZslError as error:
        sys.exit(f"Error in the configuration of the cluster:\n{error}")


def _grown(asked: int, times: int, ceiling: int | None) -> int:
    """``asked`` so many times; it alone may be above the ceiling, of which SLURM then speaks."""
    grown = asked * min(times, MOST)
    return grown if ceiling is None else max(asked, min(grown, ceiling))


def _table(path: Path) -> Table:
    try:
        return Table.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError("\n".join(_line(path, item) for item in error.errors())) from None


def _line(path: Path, item: Any) -> str:
    key = ".".join(map(str, item["loc"])) or "table"
    value = item.get("input")
    shown = "" if isinstance(value, dict | list) else f" = {value!r}"
    quotes = ", in quotes" if item["type"] == "string_type" and shown else ""
    return f"{path}: {key}{shown}: {item['msg'].removeprefix('Value error, ')}{quotes}"
