"""The shipped profile asks SLURM for what each rule needs, and so it does with a site's file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

from zsl import registry
from zsl.config.load import load
from zsl.config.measurements import MEASUREMENTS as KINDS
from zsl.config.parameters import n_parameters
from zsl.planning.cluster import RESOURCES, Needs, read_cluster
from zsl.planning.estimate import Costs
from zsl.planning.jobs import Jobs

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "profiles/slurm"
MEASUREMENTS = {name for name, kind in KINDS.items() if kind.reads != "losses"}
GPU_RULES = {"train", *MEASUREMENTS}
CURVES = {"delta_loss", "train_loss", "measured", "breakdown_curve", "sensitivity_curve", "fit"}
RULES = GPU_RULES | CURVES | {"tokens", "table", "figure", "compare", "provenance"}
IMPORTING = {"published_curves", "imported_loss"}
ELSEWHERE = {"fetch", "faults", "evaluated_loss"}
"""Rules for what others trained."""


@pytest.fixture(scope="module")
def mini(render):
    return render()


@pytest.fixture(scope="module")
def paper(render):
    return render(config="config/paper.yaml")


@pytest.fixture(params=["mini", "paper"])
def rendered(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


def test_every_rule_is_submitted(mini, paper):
    assert set(mini.jobs) == RULES
    assert set(paper.jobs) == RULES | IMPORTING


def test_exactly_the_rules_that_need_one_ask_for_a_gpu(rendered):
    assert rendered.given("--gres") == dict.fromkeys(GPU_RULES, "gpu:1")
    assert rendered.given("--gpus") == {}


def test_memory_and_time_by_rule_and_size(mini, paper):
    def asked(rendered, rule):
        return rendered.jobs[rule].value("--mem"), rendered.jobs[rule].value("-t")

    assert asked(mini, "train") == ("16000", "1440")
    assert asked(mini, "single_step") == ("16000", "30")
    assert asked(paper, "downstream") == ("32000", "120")  # of the two largest models
    assert asked(paper, "tokens") == ("32000", "2880")
    assert asked(paper, "breakdown_curve") == ("8000", "60")
    assert asked(paper, "fit") == ("4000", "30")


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
    assert settings["cores"] == 16
    assert settings["retries"] == 20
    assert settings["keep_going"]
    assert settings["requeue"]
    assert settings["logdir"] == ".snakemake/slurm_logs"
    assert settings["keep_successful_logs"]
    assert settings["init_seconds_before_status_checks"] == 20
    assert settings["rerun_triggers"] == ["input", "mtime", "params"]  # of profiles/default
    assert settings["status_command"] == "sacct"


def test_no_job_shares_an_allocation():
    """One that fails would take the finished ones with it."""
    texts = [path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")]
    assert not re.search(r"^ +group:", "\n".join(texts), re.MULTILINE)
    assert "group" not in (SHIPPED / "config.yaml").read_text()


def test_the_longest_segment_of_the_paper_ends_within_its_retries():
    """On an H100 at 30% of its peak, less than ``zsl plan`` takes for granted."""
    hours = {job: cost for job, cost in gpu_hours("H100", 0.3).items() if job.rule == "train"}
    longest = max(hours, key=hours.__getitem__)
    assert longest.of == "batch_sequence-4M-2048"
    retries = yaml.safe_load((SHIPPED / "config.yaml").read_text())["retries"]
    assert hours[longest] < needs_of(longest).runtime / 60 * (retries + 1)


def test_every_measurement_of_the_paper_ends_in_time():
    """On an A100 at 10% of its peak, a third of what ``zsl plan`` takes for granted, and with
    five minutes to start."""
    for job, hours in gpu_hours("A100", 0.1).items():
        if job.rule in MEASUREMENTS:
            assert hours * 60 + 5 < needs_of(job).runtime, job


def gpu_hours(gpu: str, utilisation: float):
    """Hours of the jobs of the paper that need a GPU."""
    jobs = Jobs(load([ROOT / "config/paper.yaml"]))
    needed = jobs.everything(registry.available(jobs.plan))
    costs = Costs(jobs, gpu, utilisation)
    return {job: costs.add([job]).gpu_hours for job in needed if job.rule in GPU_RULES}


def needs_of(job) -> Needs:
    plan = load([ROOT / "config/paper.yaml"])
    run = plan.runs[job.of]
    size = n_parameters(run.model, plan.corpus(job.of).tokenizer.rows, run.sequence_length)
    return read_cluster(SHIPPED).needs(job.rule, gpu=True, parameters=size)


@pytest.mark.parametrize("config", ["config.yaml", "desk.yaml", "paper.yaml", "single_gpu.yaml"])
def test_dry_run_as_typed(config, dry_run):
    arguments = [] if config == "config.yaml" else ["--configfile", f"config/{config}"]
    done = dry_run(*arguments)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^train +\d+$", done.stdout + done.stderr, re.MULTILINE)


def test_without_the_profile_a_job_asks_for_nothing_but_a_gpu(clean_project, monkeypatch):
    """So that ``--resources gpu=1`` keeps it to one such job at a time."""
    rules = ROOT / "workflow/rules"
    texts = "\n".join(path.read_text() for path in rules.glob("*.smk"))
    assert set(re.findall(r'needs\("(\w+)", gpu=True\)', texts)) == {"train"}  # and a loop
    assert (
        set(re.findall(r'needs\("(\w+)"\)', texts)) == (RULES | IMPORTING | ELSEWHERE) - GPU_RULES
    )
    monkeypatch.chdir(clean_project)
    monkeypatch.delenv("ZSL_PUBLISHED_DIR", raising=False)
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        parsed = api.workflow(ResourceSettings(cores=1), snakefile=Path("Snakefile"))._workflow
        asked = {
            rule.name: {key: of.value for key, of in rule.resources.items() if key in RESOURCES}
            for rule in parsed.rules
        }
        assert {rule._group for rule in parsed.rules if not callable(rule._group)} == {None}
    assert {rule: of for rule, of in asked.items() if of} == {r: {"gpu": 1} for r in GPU_RULES}


def test_the_shipped_table_names_the_rules_that_have_jobs():

    assert set(read_cluster(SHIPPED).shipped.rules) == RULES | IMPORTING | ELSEWHERE


def test_the_folder_at_the_root_is_the_profile():
    assert (ROOT / "slurm").is_symlink()
    assert (ROOT / "slurm").readlink() == Path("profiles/slurm")


def test_the_default_profile_holds_only_what_is_right_everywhere():
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    slurm = yaml.safe_load((SHIPPED / "config.yaml").read_text())
    assert set(default) == {"rerun-triggers", "rerun-incomplete", "show-failed-logs"}
    assert not set(default) & set(slurm)
