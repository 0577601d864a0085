"""What a job asks for follows from its rule, the size of its model, the site and the attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from zsl.config.load import load
from zsl.errors import ConfigError
from zsl.planning.cluster import Needs, Table, check_shares, options, read_cluster
from zsl.planning.growth import UNTRIED, Growth, after

ROOT = Path(__file__).parents[2]
SHIPPED = """
default: {mem_mb: 1, runtime: 10}
gpu: {gpus: 1, mem_mb: 2}
rules:
  train:
    - {up_to: 100, mem_mb: 3, runtime: 60, resumes: true, warning: 30}
    - {mem_mb: 4, runtime: 60, resumes: true, warning: 30}
  single_step: {runtime: 20}
  fit: {}
"""


@pytest.fixture
def cluster(tmp_path: Path):
    """Read a site's table over the shipped one of these tests."""

    def read(site: str = ""):
        (tmp_path / "resources.yaml").write_text(SHIPPED)
        if site:
            (tmp_path / "site.yaml").write_text(site)
        return read_cluster(tmp_path)

    return read


def test_what_is_special_wins_and_of_equals_the_site(cluster):
    site = "default: {mem_mb: 11, qos: slow}\ngpu: {mem_mb: 12}\nrules: {single_step: {qos: fast}}"
    shipped, own = cluster(), cluster(site)
    assert shipped.needs("fit", gpu=False).mem_mb == 1
    assert own.needs("fit", gpu=False).mem_mb == 11
    assert shipped.needs("single_step", gpu=True).mem_mb == 2
    assert own.needs("single_step", gpu=True).mem_mb == 12
    assert own.needs("train", gpu=True, parameters=100).mem_mb == 3
    assert own.needs("single_step", gpu=True).qos == "fast"
    assert own.needs("train", gpu=True).qos == "slow"
    assert own.needs("single_step", gpu=True).runtime == 20


def test_null_takes_something_back(cluster):
    site = "default: {slurm_partition: cpu}\nrules: {fit: {slurm_partition: null}}"
    assert cluster(site).needs("fit", gpu=False).slurm_partition is None


def test_rows_are_for_models_up_to_a_size(cluster):
    site = "rules: {train: [{up_to: 50, qos: s}, {up_to: 200, qos: m, gpus: 2}]}"
    own = cluster(site)

    def asked(parameters):
        needs = own.needs("train", gpu=True, parameters=parameters)
        return needs.mem_mb, needs.qos, needs.gpus

    assert asked(50) == (3, "s", 1)
    assert asked(51) == (3, "m", 2)
    assert asked(101) == (4, "m", 2)
    assert asked(201) == (4, None, 1)


ENDS = ["CANCELLED", "PREEMPTED", "NODE_FAIL", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"]


@pytest.mark.parametrize("state", ENDS)
def test_what_grows_is_what_an_attempt_ended_for_want_of(state):
    """Training goes on where it stopped: it needs more only where memory is known not to do."""
    growth = after(UNTRIED, state)
    anew, resumes = Needs(mem_mb=10, runtime=5), Needs(mem_mb=10, runtime=5, resumes=True)
    memory = 20 if state in ("FAILED", "OUT_OF_MEMORY") else 10
    time = 10 if state == "TIMEOUT" else 5
    assert anew.resources(1, growth) == {"mem_mb": memory, "runtime": time}
    memory = 20 if state == "OUT_OF_MEMORY" else 10
    assert resumes.resources(1, growth) == {"mem_mb": memory, "runtime": 5}


def test_growth_ends():
    growth, asked = UNTRIED, []
    while not growth.is_spent:
        asked.append(Needs(mem_mb=10).resources(1, growth)["mem_mb"])
        growth = after(growth, "OUT_OF_MEMORY")
    assert asked == [10, 20, 30]


def test_growth_stops_at_the_ceiling_of_the_partition(cluster):
    own = cluster(
        "partitions: {small: {mem_mb: 9, runtime: 100}}\ndefault: {mem_mb: 4, runtime: 60}\n"
        "rules: {single_step: {runtime: 60, slurm_partition: small}, fit: {slurm_partition: other}}"
    )
    grown = Growth(memory=3, time=3)

    def asked(rule, **other):
        needs = own.needs(rule, gpu=False).model_copy(update=other)
        found = needs.resources(1, grown, own.ceiling(needs))
        return found["mem_mb"], found["runtime"]

    assert asked("single_step") == (9, 100)
    assert asked("single_step", mem_mb=10) == (10, 100)  # it alone is above it: SLURM will say so
    assert asked("fit") == (12, 180)


def test_the_warning_stands_before_other_options():
    needs = Needs(warning=60, slurm_extra="--mail-type=END")
    assert needs.resources(1)["slurm_extra"] == "--signal=TERM@60 --mail-type=END"


def test_on_two_nodes_one_task_each_has_the_cores_of_its_processes():
    asked = Needs(gpus=4, nodes=2).resources(threads=8)
    of_gpus = {key: value for key, value in asked.items() if key not in ("mem_mb", "runtime")}
    assert of_gpus == {
        "gres": "gpu:4",
        "nodes": 2,
        "tasks": 2,
        "tasks_per_gpu": 0,
        "cpus_per_task": 32,
        "processes": 4,
        "mpi": "srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=32 --cpu-bind=none",
    }


def test_a_cluster_without_gpus(cluster):
    needs = cluster("gpu: {gpus: 0}").needs("train", gpu=True)
    assert set(needs.resources(1)) == {"mem_mb", "runtime", "slurm_extra"}


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("defaults: {}", "site.yaml: table: unknown key 'defaults'; did you mean 'default'?"),
        ("default: {mem: 4}", "site.yaml: default: unknown key 'mem'; did you mean 'mem_mb'?"),
        ("default: {mem_mb: 4 GB}", "site.yaml: default.mem_mb = '4 GB': Input should be a valid"),
        (
            "default: {slurm_account: 12345}",
            "slurm_account = 12345: Input should be a valid string, in",
        ),
        ("gpu: {gpu_option: gpu}", "site.yaml: gpu.gpu_option = 'gpu': Input should be 'gres' or"),
        ("rules: {fitt: {}}", "site.yaml: rules.fitt: no such rule; did you mean 'fit'?"),
        ("rules: {train: [{gpus: x}]}", "site.yaml: rules.train.0.gpus = 'x': Input should be"),
        ("rules: {train: [{}, {up_to: 5}]}", "site.yaml: rules: train: rows are for larger and"),
        ("rules: {train: [{up_to: 5}, {up_to: 5}]}", "site.yaml: rules: train: rows are for"),
        ("gpu: {gpus: 4}", "site.yaml: gpu: only the jobs of train can use several GPUs or nodes"),
        ("rules: {fit: {nodes: 2}}", "site.yaml: rules.fit: only the jobs of train can use"),
        ("options: {default-resources: {}}", "site.yaml: options: default-resources belongs below"),
        ("- 1", "site.yaml: expected keys and values, found list"),
    ],
)
def test_a_mistake_is_a_line_with_a_way_out(site, said, cluster):
    with pytest.raises(ConfigError) as raised:
        cluster(site)
    (line,) = str(raised.value).splitlines()
    assert said in line


def test_a_mistake_ends_the_reading_of_the_profile(cluster, tmp_path):
    cluster()
    (tmp_path / "site.yaml").write_text("options: {jobs: 3}")
    assert options(str(tmp_path)) == {"jobs": 3}
    (tmp_path / "site.yaml").write_text("option: {jobs: 3}")
    with pytest.raises(SystemExit, match="did you mean 'options'"):
        options(str(tmp_path))


def test_gpus_have_to_share_a_batch_equally(cluster):
    plan = load([ROOT / "config/config.yaml"])
    sizes = dict.fromkeys(plan.runs, 100)
    check_shares(cluster("rules: {train: {gpus: 4, nodes: 2}}"), plan, sizes)
    with pytest.raises(ConfigError, match=r"2 x 5 GPUs cannot share the batch_size 64 of main-19k"):
        check_shares(cluster("rules: {train: {gpus: 5, nodes: 2}}"), plan, sizes)
    with pytest.raises(ConfigError, match=r"2 x 0 GPUs: several nodes are for GPUs"):
        check_shares(cluster("rules: {train: {gpus: 0, nodes: 2}}"), plan, sizes)


def test_a_table_may_be_empty():
    assert Table().row("train", 5) == Needs()
