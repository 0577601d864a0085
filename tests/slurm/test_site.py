"""What a site says in its own file reaches SLURM, and a mistake in it is one clean line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zsl.config.measurements import MEASUREMENT_OF
from zsl.planning.cluster import Needs, read_cluster

SHIPPED = Path(__file__).parents[2] / "profiles/slurm"
GPU_RULES = {"train", *MEASUREMENT_OF.values()} - {"delta_loss"}


def test_a_site_with_account_partitions_and_squeue(render):
    rendered = render(
        "options: {slurm-status-command: squeue, jobs: 7, slurm-requeue: false}\n"
        "default: {slurm_account: my-account, slurm_partition: cpu, qos: long}\n"
        "gpu: {slurm_partition: gpu, constraint: a100}\n"
    )
    for rule, job in rendered.jobs.items():
        assert job.value("-A") == "my-account"
        assert job.value("-p") == ("gpu" if rule in GPU_RULES else "cpu")
        assert job.value("--qos") == "long"
    assert rendered.given("-C") == dict.fromkeys(GPU_RULES, "a100")
    assert rendered.settings["status_command"] == "squeue"
    assert rendered.settings["jobs"] == 7
    assert not rendered.settings["requeue"]


@pytest.mark.parametrize(
    ("site", "option", "value"),
    [
        ("gpu: {gpu_model: h100}", "--gres", "gpu:h100:1"),
        ("gpu: {gpu_option: gpus}", "--gpus", "1"),
        ("gpu: {gpu_option: gpus, gpu_model: h100}", "--gpus", "h100:1"),
    ],
)
def test_ways_of_asking_for_a_gpu(site, option, value, render):
    rendered = render(site)
    assert rendered.given(option) == dict.fromkeys(GPU_RULES, value)
    assert rendered.given(({"--gres", "--gpus"} - {option}).pop()) == {}


@pytest.mark.parametrize(
    ("nodes", "gpu_option", "expected"),
    [
        (1, "gres", {"--gres": ["gpu:4"]}),
        (1, "gpus", {"--gpus": ["4"]}),
        (2, "gres", {"--gres": ["gpu:4"], "--ntasks": ["2"]}),
        (2, "gpus", {"--gpus": ["8"], "--ntasks": ["2"]}),
    ],
)
def test_training_on_several_gpus(nodes, gpu_option, expected, render):
    """One task a node with all its cores; --gres counts GPUs a node, --gpus all of them."""
    site = f"rules: {{train: {{gpus: 4, nodes: {nodes}, gpu_option: {gpu_option}}}}}"
    rendered = render(site, "config/paper.yaml")
    given = {
        option: rendered.jobs["train"].values(option)
        for option in ("--gres", "--gpus", "--ntasks", "--ntasks-per-gpu", "--ntasks-per-node")
    }
    assert given == {option: expected.get(option, []) for option in given}
    assert rendered.jobs["train"].value("--nodes") == str(nodes)
    assert rendered.jobs["train"].value("--cpus-per-task") == str(4 * 8)
    assert rendered.jobs["token_losses"].value("--gres") == "gpu:1"


def test_a_mistake_of_the_site_is_a_line(clean_project, dry_run):
    site = clean_project / "profiles/slurm/site.yaml"
    site.write_text("rules: {trian: {gpus: 2}}\n")
    done = dry_run()
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "site.yaml" in line]
    assert line == (
        "profiles/slurm/site.yaml: rules.trian: no such rule; did you mean 'train'? known: "
        + ", ".join(read_cluster(SHIPPED).shipped.rules)
    )
    assert "Traceback" not in done.stderr


def test_other_default_resources_would_lose_the_table(dry_run):
    done = dry_run("--default-resources", "mem_mb=1000")
    assert done.returncode == 1
    assert "--default-resources: would take the place of the profile's" in done.stderr


def test_gpus_that_cannot_share_a_batch_are_a_line(clean_project, dry_run):
    (clean_project / "profiles/slurm/site.yaml").write_text("rules: {train: {gpus: 3}}\n")
    done = dry_run()
    assert done.returncode == 1
    assert "1 x 3 GPUs cannot share the batch_size 64 of main-19k" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_shipped_table_says_what_every_key_is():
    comment = "".join(re.findall(r"^# .*$", (SHIPPED / "resources.yaml").read_text(), re.MULTILINE))
    for key in {*Needs.model_fields} - {"up_to"}:
        assert key in comment


def test_the_example_of_a_site_is_right(clean_project, dry_run):
    folder = clean_project / "profiles/slurm"
    (folder / "site.example.yaml").rename(folder / "site.yaml")
    done = dry_run("--configfile", "config/paper.yaml")
    assert done.returncode == 0, done.stderr
    text = (SHIPPED / "site.example.yaml").read_text()
    everything = re.sub(r"^( *)# (\w[\w-]*: )", r"\1\2", text, flags=re.MULTILINE)
    assert everything != text
    (folder / "site.yaml").write_text(everything)
    assert read_cluster(folder).needs("single_step", gpu=True).gpu_model == "h100"
