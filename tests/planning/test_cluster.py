"""What a job asks for follows from its rule, the size of its model, the site and the attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from zsl.config.load import load
from zsl.errors import ConfigError
from zsl.planning.cluster import Needs, Table, check_shares, options, read_cluster

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


def test_only_a_job_that_begins_anew_asks_for_more():
    anew, resumes = Needs(mem_mb=10, runtime=5), Needs(mem_mb=10, runtime=5, resumes=True)
    asked = [anew.resources(1, attempt) for attempt in (1, 2, 3, 4, 20)]
    assert [of["mem_mb"] for of in asked] == [10, 20, 30, 30, 30]
    assert [of["runtime"] for of in asked] == [5, 10, 15, 15, 15]
    assert resumes.resources(1, 1) == resumes.resources(1, 20) == {"mem_mb": 10, "runtime": 5}


def test_the_warning_stands_before_other_options():
    needs = Needs(warning=60, slurm_extra="--mail-type=END")
    assert needs.resources(1, 1)["slurm_extra"] == "--signal=TERM@60 --mail-type=END"


def test_on_two_nodes_one_task_each_has_the_cores_of_its_processes():
    asked = Needs(gpus=4, nodes=2).resources(threads=8, attempt=1)
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
    assert set(needs.resources(1, 1)) == {"mem_mb", "runtime", "slurm_extra"}


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("defaults: {}", "site.yaml: table: unknown key 'defaults'; did you mean 'default'?"),
        ("default: {mem: 4}", "site.yaml: default: unknown key 'mem'; did you mean 'mem_mb'?"),
        ("default: {mem_mb: 4 GB}", "site.yaml: default.mem_mb = '4 GB': Input should be a valid"),
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
