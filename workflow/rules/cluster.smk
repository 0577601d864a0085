"""What jobs ask a cluster for, where the profile names a table of resources; here, nothing."""

from zsl.config.parameters import n_parameters
from zsl.planning.cluster import RESOURCES, check_shares, read_cluster


def folder_of_table():
    """The folder that the profile's default resource ``table`` names, if it is given."""
    defaults = workflow.resource_settings.default_resources or {}
    table = defaults["table"] if "table" in defaults else None
    return table and Path(str(getattr(table, "raw", table)).strip("'\""))


def size(run):
    """Number of a run's parameters, embeddings included; None where no model is trained."""
    if run not in PLAN.runs:
        return None
    made = PLAN.runs[run]
    return n_parameters(
        made.model, PLAN.corpus(run).tokenizer.rows, made.sequence_length
    )


@cache
def asked(kind, gpu, run, threads, attempt):
    """Resources of a job of some rule by the table."""
    found = CLUSTER.needs(kind, gpu=gpu, parameters=size(run))
    return found.resources(threads, attempt)


def needs(kind, gpu=False):
    """Resources of the jobs of a rule: by the table, or else that they use a GPU."""
    if CLUSTER is None:
        return {"gpu": 1} if gpu else {}

    def resource(name):
        def value(wildcards, threads, attempt):
            run = wildcards.get("run")
            return asked(kind, gpu, run, threads, attempt).get(name)

        return value

    return {name: resource(name) for name in RESOURCES}


def shown_group(target):
    """Name of the allocation that a figure or table shares with others of its suites."""
    return CLUSTER and "shown-" + "-".join(TARGETS[target].suites)


FOLDER = folder_of_table()
CLUSTER = FOLDER and checked(read_cluster, FOLDER)
if CLUSTER:
    checked(check_shares, CLUSTER, PLAN, {run: size(run) for run in PLAN.runs})
# Name of the allocation that the cheap jobs of a run share.
CURVES_GROUP = "curves-{run}" if CLUSTER else None
