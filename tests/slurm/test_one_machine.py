"""The shipped profile on a real SLURM: whatever happens to jobs, the end is that of a local run.

Nothing of the project is changed but what a site may change: site.yaml. Run by
``make test-slurm``; where SLURM cannot be had, the tests are skipped and say why.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from slurm_jobs import command, jobs_of, told, training

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COPIED = ("Snakefile", "workflow", "config", "profiles", "src", "requirements.lock")
CONFIG = "config/disturbed.yaml"
SEGMENT = "00000000-00004096"
MADE = ("table6", "fig25")
"""Targets; the other figures are drawn of the same."""
ZSL = "import sys; from zsl.cli import main; sys.exit(main())"
TIMED = ("lineage", "provenance", "logs", "state")
"""Folders of results whose bytes depend on when they were made."""
SITE = """
options:
  slurm-status-command: squeue
  slurm-init-seconds-before-status-checks: 1
  seconds-between-status-checks: 1
  latency-wait: 5
  cores: 2
default: {mem_mb: 500, slurm_partition: cpu}
gpu: {mem_mb: 1000, slurm_partition: gpu}
rules:
  tokens: {mem_mb: 1000}
  token_losses: {mem_mb: 1000}
"""
BY_SIZE = """
  train:
    - {up_to: 5_000, mem_mb: 1000, gpu_model: common}                              # cancelled
    - {up_to: 12_000, mem_mb: 1000, gpu_model: scarce, slurm_partition: spot}      # preempted
    - {mem_mb: 1000, gpu_model: common}                                            # late
"""
ONE_GPU = """
  train: {mem_mb: 1000}
"""
TWO_NODES = """
  train: {mem_mb: 2000, gpus: 2, nodes: 2}
"""

pytestmark = [
    pytest.mark.skipif("ZSL_TEST_SLURM" not in os.environ, reason="make test-slurm runs it"),
    pytest.mark.usefixtures("one_machine"),
]


@dataclass(frozen=True)
class Project:
    """A copy of the project with the experiment, of which nothing is made yet."""

    root: Path
    started: list[subprocess.Popen[str]]
    """All that was started."""

    @property
    def results(self) -> Path:
        return self.root / "results/disturbed"

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key != "ZSL_PUBLISHED_DIR"}
        return {**kept, "PYTHONPATH": str(self.root / "src")}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own, its words in ``snakemake.log``."""
        command = [sys.executable, "-m", "snakemake", *arguments, "--configfile", CONFIG]
        with (self.root / "snakemake.log").open("w") as log:
            running = subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.started.append(running)
        return running

    def finish(self, running: subprocess.Popen[str], seconds: float = 900) -> None:
        """Wait for Snakemake, which must succeed."""
        with suppress(subprocess.TimeoutExpired):
            running.wait(seconds)
        assert running.poll() == 0, f"{self.words}\n{command('squeue', '--long')}"

    @property
    def words(self) -> str:
        return (self.root / "snakemake.log").read_text()

    def artifacts(self) -> dict[str, bytes]:
        """Bytes by path of everything made, but of what holds times."""
        files = [path for path in sorted(self.results.rglob("*")) if path.is_file()]
        inside = {path.relative_to(self.results): path for path in files}
        return {
            name.as_posix(): path.read_bytes()
            for name, path in inside.items()
            if name.parts[0] not in TIMED and not path.name.startswith(".")
        }

    def log(self, run: str) -> str:
        """What the last attempt at training a run said."""
        return (self.results / f"logs/training/batch_sequence-{run}/{SEGMENT}.log").read_text()

    def kept(self, run: str, step: int) -> bool:
        """Whether a run that is being trained has kept a checkpoint of a step."""
        state = self.results / f"state/training/batch_sequence-{run}/{SEGMENT}"
        return any(state.glob(f"*/checkpoints/step{step:08d}"))


@pytest.fixture
def new_project(tmp_path: Path) -> Iterator[Callable[..., Project]]:
    """Lay out a project; ``site`` is what its site.yaml says, if it has one."""
    draw = random.Random(1)
    words = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "lnrs"]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    text = "\n\n".join(" ".join(draw.choices(words, weights, k=30)) for _ in range(800))

    def lay_out(name: str, site: str = "") -> Project:
        root = tmp_path / name
        root.mkdir()
        left_out = shutil.ignore_patterns("__pycache__", "site.yaml")
        for part in COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            options = {"ignore": left_out} if (ROOT / part).is_dir() else {}
            copy(ROOT / part, root / part, **options)
        (root / "slurm").symlink_to("profiles/slurm")
        shutil.copy2(HERE / "disturbed.yaml", root / CONFIG)
        (root / "text.txt").write_text(text)
        if site:
            (root / "profiles/slurm/site.yaml").write_text(site)
        return Project(root, started)

    started: list[subprocess.Popen[str]] = []
    yield lay_out
    for running in started:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)


def when(moments: dict[str, Callable[[], bool]], running: subprocess.Popen[str]) -> None:
    """Watch until each of some things was done: they say whether their moment had come."""
    deadline = time.monotonic() + 900
    while moments:
        assert running.poll() is None, f"Snakemake ended before: {', '.join(moments)}"
        assert time.monotonic() < deadline, f"never came: {', '.join(moments)}"
        for name, done in [*moments.items()]:
            if done():
                del moments[name]
        time.sleep(0.2)


def train_job(run: str) -> str:
    return f"rule_train_wildcards_batch_sequence-{run}_"


def test_disturbed_jobs_end_with_the_bytes_of_a_local_run(new_project):
    """One job is cancelled, one reaches its time limit, one is preempted. Snakemake is started
    once."""
    here, project = new_project("here"), new_project("cluster", SITE + BY_SIZE)
    undisturbed = here.start("--cores", "1", *MADE)
    running = project.start("--profile", "slurm", *MADE)

    def cancel() -> bool:
        if not project.kept("cancelled", 256):
            return False
        command("scancel", jobs_of(train_job("cancelled"))[0].id)
        return True

    held: list[psutil.Process] = []

    def reach_time_limit() -> bool:
        if not project.kept("late", 64):
            return False
        job = jobs_of(train_job("late"))[0]
        held.append(training(job.id))
        held[0].suspend()
        # In less than the two minutes before it at which SIGTERM comes, which so is due at once.
        command("scontrol", "update", f"jobid={job.id}", f"timelimit={job.minutes + 2}")
        return True

    def be_told() -> bool:
        return bool(held) and told(held[0], signal.SIGTERM)

    def preempt() -> bool:
        if not project.kept("preempted", 256):
            return False
        options = ("--gres=gpu:scarce:1", "--mem=100", "--output=/dev/null")
        command("sbatch", "--partition=urgent", *options, "--wrap=true")
        return True

    moments = (cancel, reach_time_limit, be_told, preempt)
    when({moment.__name__: moment for moment in moments}, running)
    project.finish(running)

    cancelled = jobs_of(train_job("cancelled"))
    assert [job.state for job in cancelled] == ["CANCELLED", "COMPLETED"]
    late = jobs_of(train_job("late"))
    assert [job.state for job in late] == ["FAILED", "COMPLETED"]
    (slurm_log,) = project.root.glob(f".snakemake/slurm_logs/rule_train/*/{late[0].id}.log")
    stopped = re.search(r"stopped by a signal at step (\d+), saved", slurm_log.read_text())
    assert stopped and f"resuming at step {stopped[1]}" in project.log("late")
    (preempted,) = jobs_of(train_job("preempted"))
    assert (preempted.state, preempted.restarts) == ("COMPLETED", 1)
    for run in ("cancelled", "preempted"):
        assert re.search(r"resuming at step \d+", project.log(run)), run

    audit = subprocess.run(
        [sys.executable, "-c", ZSL, "audit", *MADE, "--configfile", CONFIG],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
    )
    assert audit.returncode == 0, audit.stdout
    here.finish(undisturbed)
    expected, made = here.artifacts(), project.artifacts()
    assert made.keys() == expected.keys()
    assert {"tables/table6.csv", "figures/fig25.pdf"} <= made.keys()
    assert [path for path in expected if made[path] != expected[path]] == []


def test_a_segment_on_two_nodes(new_project):
    """Two processes on each of them make what four make here."""
    target = "results/disturbed/training/batch_sequence-cancelled/00000000-00000064.manifest.json"
    here, cluster = new_project("here"), new_project("cluster", SITE + TWO_NODES)
    for project in (here, cluster):
        config = project.root / CONFIG
        config.write_text(config.read_text().replace("4096", "64"))
    four = ("--set-resources", "train:processes=4", "train:gpu=4")
    undisturbed = here.start("--cores", "1", target, *four)
    cluster.finish(cluster.start("--profile", "slurm", target))
    (job,) = jobs_of(train_job("cancelled") + "00000000-00000064")
    assert "NumNodes=2 NumCPUs=4 NumTasks=2" in job.shown
    assert "TresPerNode=gres:gpu:2" in job.shown
    here.finish(undisturbed)
    assert cluster.artifacts() == here.artifacts()


def test_a_run_that_diverges_is_trained_once(new_project):
    """It would diverge 20 times more."""
    target = "results/disturbed/training/batch_sequence-late/00000000-00000064.manifest.json"
    project = new_project("cluster", SITE + ONE_GPU)
    config = project.root / CONFIG
    text = config.read_text().replace("4096", "64").replace("1.0e-2", "1.0e+30")
    config.write_text(text)
    earlier = {job.id for job in jobs_of(train_job("late"))}
    running = project.start("--profile", "slurm", target)
    assert running.wait(900) == 1
    assert "the gradient norm nan" in project.words
    assert "It fails by itself, as its log says, and is not tried again" in project.words
    states = [job.state for job in jobs_of(train_job("late")) if job.id not in earlier]
    assert states == ["FAILED"]
