"""The shipped profile asks SLURM for what each rule needs, and so do its commented variants."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from zsl.config.load import load
from zsl.planning.estimate import estimate

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "profiles/slurm/config.yaml"
MEASUREMENTS = {
    "token_losses": "60",
    "gradient_opposition": "60",
    "token_gradients": "480",
    "single_step": "120",
    "cross_section": "120",
    "downstream": "60",
}
"""Minutes of the measurements that need a GPU."""
GPU_RULES = {"train", *MEASUREMENTS}
CURVES = {"train_loss", "measured", "breakdown_curve", "sensitivity_curve"}
RULES = (
    GPU_RULES | CURVES | {"tokens", "delta_loss", "fit", "table", "figure", "compare", "provenance"}
)
IMPORTING = {"published_curves", "imported_loss"}
MEMORY = {
    "train": "64000",
    "tokens": "32000",
    "breakdown_curve": "8000",
    **dict.fromkeys(MEASUREMENTS, "32000"),
}
MINUTES = {"train": "1440", "tokens": "2880", "breakdown_curve": "120", **MEASUREMENTS}


@pytest.fixture(scope="module")
def mini(render):
    return render()


@pytest.fixture(scope="module")
def paper(render):
    return render(config="config/paper.yaml")


@pytest.fixture(params=["mini", "paper"])
def rendered(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


def variant(folder: Path, *uncommented: str, without: str | None = None) -> Path:
    """The shipped profile with the lines of some keys uncommented, and those of one left out."""
    text = SHIPPED.read_text()
    for key in uncommented:
        text, n = re.subn(rf"^(\s*)# ({key}: )", r"\1\2", text, flags=re.MULTILINE)
        assert n, f"no commented line of {key}"
    if without:
        text = re.sub(rf"^\s*{without}: .*\n", "", text, flags=re.MULTILINE)
    (folder / "config.yaml").write_text(text)
    return folder


def test_every_rule_is_submitted(mini, paper):
    assert set(mini.jobs) == RULES
    assert set(paper.jobs) == RULES | IMPORTING


def test_exactly_the_rules_that_need_one_ask_for_a_gpu(rendered):
    assert rendered.given("--gres") == dict.fromkeys(GPU_RULES, "gpu:1")
    assert rendered.given("--gpus") == {}


def test_memory_and_time(rendered):
    for rule, job in rendered.jobs.items():
        assert job.value("--mem") == MEMORY.get(rule, "4000"), rule
        assert job.value("-t") == MINUTES.get(rule, "30"), rule


@pytest.mark.parametrize(("name", "threads"), [("mini", "1"), ("paper", "8")])
def test_cores_are_the_threads_of_the_configuration(name, threads, request):
    for rule, job in request.getfixturevalue(name).jobs.items():
        expected = {"tokens": "8", "published_curves": "1"}.get(rule, threads)
        assert job.value("--cpus-per-task") == expected, rule


def test_only_training_is_warned_before_its_time_limit(rendered):
    assert rendered.given("--signal") == {"train": "TERM@120"}


def test_as_shipped_the_cluster_chooses_account_and_partition(rendered):
    for job in rendered.jobs.values():
        assert job.values("-A", "--account") == []
        assert job.value("-p") == "batch"


def test_logs_lie_in_the_folder_of_snakemake(rendered):
    for rule, job in rendered.jobs.items():
        folder = Path(job.value("-D")) / ".snakemake/slurm_logs" / f"rule_{rule}"
        assert Path(job.value("--output")).is_relative_to(folder)
        assert job.value("--output").endswith("%j.log")


def test_a_job_runs_its_own_rule_with_the_configuration(paper):
    for rule, job in paper.jobs.items():
        command = job.value("--wrap")
        assert f"--allowed-rules {rule}" in command
        assert "config/paper.yaml" in command


def test_settings_of_the_run(rendered):
    settings = rendered.settings
    assert settings["jobs"] == 100
    assert settings["retries"] == 20
    assert settings["keep_going"]
    assert settings["logdir"] == ".snakemake/slurm_logs"
    assert settings["keep_successful_logs"]
    assert settings["init_seconds_before_status_checks"] == 20
    assert settings["rerun_triggers"] == ["input", "mtime", "params"]  # of profiles/default
    assert settings["status_command"] == "sacct"


def test_the_longest_segment_of_the_paper_ends_within_its_retries():
    """On an H100 at 30% of its peak, less than ``zsl plan`` takes for granted."""
    profile = yaml.safe_load(SHIPPED.read_text())
    plan = load([ROOT / "config/paper.yaml"])
    found = estimate(plan, gpu="H100", utilisation=0.3)
    hours = {}
    for run in (run for suite in found.suites for run in suite.runs if not run.imported):
        longest = max(part.end - part.start for part in plan.layout(run.id).segments)
        hours[run.id] = run.training.gpu_hours * longest / run.steps
    assert max(hours, key=hours.__getitem__) == "batch_sequence-4M-2048"
    limit = profile["set-resources"]["train"]["runtime"] / 60
    assert max(hours.values()) < limit * (profile["retries"] + 1)


def test_variant_with_account_partitions_and_squeue(render, tmp_path):
    keys = ("slurm_account", "slurm_partition", "slurm-status-command")
    rendered = render(str(variant(tmp_path, *keys)))
    for rule, job in rendered.jobs.items():
        assert job.value("-A") == "my-account"
        assert job.value("-p") == ("gpu" if rule in GPU_RULES else "cpu")
    assert rendered.settings["status_command"] == "squeue"


@pytest.mark.parametrize(
    ("keys", "gpus"), [(["gpu"], "1"), (["gpu", "gpu_model"], "h100:1")], ids=["gpu", "model"]
)
def test_variants_of_asking_for_a_gpu(keys, gpus, render, tmp_path):
    rendered = render(str(variant(tmp_path, *keys, without="gres")))
    assert rendered.given("--gpus") == dict.fromkeys(GPU_RULES, gpus)
    assert rendered.given("--gres") == {}


def test_every_commented_setting_belongs_to_a_tested_variant():
    commented = set(re.findall(r"^\s*# ([\w-]+): ", SHIPPED.read_text(), re.MULTILINE))
    tested = {"slurm_account", "slurm_partition", "slurm-status-command", "gpu", "gpu_model"}
    assert commented == tested


def test_resources_name_rules_that_exist():
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for name in yaml.safe_load(SHIPPED.read_text())["set-resources"]:
        assert re.search(rf"^rule {name}:", rules, re.MULTILINE), name


@pytest.mark.parametrize("config", ["config.yaml", "paper.yaml", "single_gpu.yaml"])
def test_dry_run_as_typed(config, clean_project):
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "-n", "all"]
    if config != "config.yaml":
        command += ["--configfile", f"config/{config}"]
    done = subprocess.run(command, cwd=clean_project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^train +\d+$", done.stdout + done.stderr, re.MULTILINE)


def test_the_folder_at_the_root_is_the_profile():
    assert (ROOT / "slurm").is_symlink()
    assert (ROOT / "slurm").readlink() == Path("profiles/slurm")


def test_the_default_profile_holds_only_what_is_right_everywhere():
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    slurm = yaml.safe_load(SHIPPED.read_text())
    assert set(default) == {"rerun-triggers", "rerun-incomplete", "show-failed-logs"}
    assert not set(default) & set(slurm)
