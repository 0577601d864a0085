"""What jobs ask a cluster for, where the profile names a table of resources; here, nothing."""

from zsl.planning.cluster import check_shares, read_cluster
from zsl.planning.growth import UNTRIED, Growth
from zsl.planning.storage import parameters


def folder_of_table():
    """The folder that the profile's default resource ``table`` names, if it is given."""
    defaults = workflow.resource_settings.default_resources or {}
    table = defaults["table"] if "table" in defaults else None
    return table and Path(str(getattr(table, "raw", table)).strip("'\""))


def size(run):
    """Number of a run's parameters, embeddings included; None where no model is trained."""
    if run not in PLAN.runs:
        return None
    return parameters(PLAN.runs[run], PLAN.corpus(run).tokenizer.rows)


@cache
def asked(kind, gpu, run, threads, growth):
    """Resources of a job of some rule by the table."""
    found = CLUSTER.needs(kind, gpu=gpu, parameters=size(run))
    return found.resources(threads, growth, CLUSTER.ceiling(found))


def needs(kind, gpu=False):
    """Resources of the jobs of a rule: by the table, or else that they use a GPU.

    What is the same for all of them is a value: a function is asked for each job.
    """
    if CLUSTER is None:
        return {"gpu": 1} if gpu else {}

    def resource(name):
        def value(wildcards, threads, attempt):
            growth = (
                Growth(attempt, attempt)
                if GROWN is None
                else GROWN.get((kind, *wildcards), UNTRIED)
            )
            return asked(kind, gpu, wildcards.get("run"), threads, growth).get(name)

        return value

    rows = [asked(kind, gpu, run, THREADS, UNTRIED) for run in ONE_OF_EACH_SIZE]
    same = set.intersection(*({*row.items()} for row in rows))
    fixed = {name: value for name, value in same if name not in CHANGING}
    names = {name for row in rows for name in row} - fixed.keys()
    return {**fixed, **{name: resource(name) for name in sorted(names)}}


def growth_known():
    """Growth by job, where our executor submits them; None: only attempts are counted."""
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    plugins = ExecutorPluginRegistry()
    if not workflow.is_main_process or not plugins.is_installed("slurm"):
        return None
    from zsl.slurm.executor import Executor

    plugins.get_plugin("slurm").executor = Executor
    return Executor.grown


FOLDER = folder_of_table()
CLUSTER = FOLDER and checked(read_cluster, FOLDER)
if CLUSTER:
    checked(check_shares, CLUSTER, PLAN, {run: size(run) for run in PLAN.runs})
# Resources that change with the attempt or the threads of a job.
CHANGING = {"mem_mb", "runtime", "cpus_per_task", "mpi"}
ONE_OF_EACH_SIZE = [None, *{size(run): run for run in PLAN.runs}.values()]
GROWN = growth_known() if CLUSTER else None
