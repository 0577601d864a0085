"""A cluster's bad days on a real SLURM: no job is lost, and what is waited for is said.

Run by ``make test-slurm``. Jobs are nothing but a line of shell, each in its own allocation.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from slurm_jobs import command, jobs_of

from zsl.errors import FOR_GOOD

HERE = Path(__file__).parent
MACHINE = Path(os.environ.get("ONE_MACHINE_FOLDER", "/tmp/one-machine-slurm"))
OPTIONS = """
--executor slurm --jobs 10 --retries 3 --keep-going --latency-wait 5
--slurm-init-seconds-before-status-checks 1 --seconds-between-status-checks 1
--slurm-keep-successful-logs --slurm-logdir logs
"""

pytestmark = [
    pytest.mark.skipif("ZSL_TEST_SLURM" not in os.environ, reason="make test-slurm runs it"),
    pytest.mark.usefixtures("one_machine"),
]


@dataclass
class Driver:
    """Snakemake at work in a folder of its own."""

    root: Path
    running: subprocess.Popen[str] | None = None

    @property
    def words(self) -> list[str]:
        return [*OPTIONS.split(), "--snakefile", str(HERE / "bad_days.smk"), "--config"]

    @property
    def said(self) -> str:
        return (self.root / "snakemake.log").read_text()

    def start(self, job: str, names: str, **config: str) -> None:
        """``job`` is the shell of each job, its name ``$1``."""
        (self.root / "job.sh").write_text(job + "\n")
        given = [f"{key}={value}" for key, value in {"names": names, **config}.items()]
        path = os.pathsep.join([str(self.root / "bin"), os.environ["PATH"]])
        with (self.root / "snakemake.log").open("w") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *self.words, *given],
                cwd=self.root,
                env=os.environ | {"PATH": path},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )

    def wait_for(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + 300
        while not happened():
            assert self.running and self.running.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.2)

    def begun(self, name: str) -> bool:
        return (self.root / f"begun-{name}").exists()

    def end(self, seconds: float = 600) -> int:
        assert self.running
        return self.running.wait(seconds)

    def made(self) -> set[str]:
        return {path.name for path in (self.root / "made").glob("*")}

    def sbatch(self, refuses: str) -> None:
        """Put a shell function before SLURM's own sbatch, which it may refuse to call."""
        folder = self.root / "bin"
        folder.mkdir()
        script = f'#!/bin/bash\n{refuses}\nexec {shutil.which("sbatch")} "$@"\n'
        (folder / "sbatch").write_text(script)
        (folder / "sbatch").chmod(0o755)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    made = Driver(tmp_path)
    yield made
    if made.running and made.running.poll() is None:
        os.killpg(made.running.pid, signal.SIGKILL)


def sleeping(name: str):
    return jobs_of(f"rule_sleep_wildcards_{name}")


def test_slurmctld_is_away_for_ninety_seconds(driver: Driver):
    """A job ends meanwhile, and the next one is submitted when it is back."""
    driver.start("while [ ! -e go ]; do sleep 0.1; done", "outage")
    driver.wait_for(lambda: driver.begun("outage"))
    os.kill(int((MACHINE / "slurmctld.pid").read_text()), signal.SIGTERM)
    (driver.root / "go").touch()
    time.sleep(90)
    command("slurmctld", "-f", str(MACHINE / "slurm.conf"))
    assert driver.end() == 0, driver.said
    assert driver.made() == {"outage"}
    assert "SLURM does not answer; 1 jobs are waited for" in driver.said
    assert "SLURM answers again" in driver.said
    assert [job.state for job in sleeping("outage")] == ["COMPLETED"]


def test_slurmctld_is_away_when_jobs_are_submitted(driver: Driver):
    driver.start("true", "away")
    driver.wait_for(lambda: "Execute 1 jobs" in driver.said)
    os.kill(int((MACHINE / "slurmctld.pid").read_text()), signal.SIGTERM)
    try:
        driver.wait_for(lambda: "SLURM takes no job now" in driver.said)
    finally:
        command("slurmctld", "-f", str(MACHINE / "slurm.conf"))
    assert driver.end() == 0, driver.said
    assert [job.state for job in sleeping("away")] == ["COMPLETED"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"account": "nobody"}, "Invalid account or account/partition combination specified"),
        ({"partition": "nowhere"}, "Invalid partition name specified"),
        ({"extra": "--job-name=mine"}, "slurm_extra = '--job-name=mine' is not allowed"),
        ({"extra": "--no-such-option"}, "unrecognized option '--no-such-option'"),
    ],
)
def test_a_mistake_ends_snakemake_before_anything_is_submitted(driver: Driver, config, said):
    # Only a SLURM with accounting knows accounts; this says of one what that says.
    driver.sbatch(
        'case " $* " in *" -A nobody "*) echo "sbatch: error: Batch job submission failed: Invalid '
        'account or account/partition combination specified" >&2; exit 1;; esac'
    )
    before = command("squeue", "--states=all", "--noheader", "--format=%i")
    driver.start("true", "a b c", **config)
    assert driver.end(120) == 1
    (line,) = [line for line in driver.said.splitlines() if "nothing was submitted" in line]
    assert "takes no job of rule sleep" in line and said in line and "site.yaml" in line
    assert command("squeue", "--states=all", "--noheader", "--format=%i") == before


def test_a_job_that_fails_by_itself_is_tried_once_and_takes_none_along(driver: Driver):
    driver.start(
        f"if [ $1 = wrong ]; then sleep 5; echo 'wrong: {FOR_GOOD}' >&2; exit 1; fi", "wrong right"
    )
    assert driver.end() == 1
    assert driver.made() == {"right"}
    assert [job.state for job in sleeping("wrong")] == ["FAILED"]
    assert "It fails by itself, as its log says, and is not tried again" in driver.said


def test_what_was_cancelled_asks_for_the_same_and_what_failed_for_more(driver: Driver):
    driver.start(
        "case $1 in\n"
        "stopped) [ -e again ] || sleep 600 ;;\n"
        "failing) [ -e $1 ] || { touch $1; exit 1; } ;;\n"
        "esac",
        "stopped failing",
    )
    driver.wait_for(lambda: driver.begun("stopped"))
    (driver.root / "again").touch()
    command("scancel", sleeping("stopped")[0].id)
    assert driver.end() == 0, driver.said

    def memory(name: str) -> list[str]:
        found = [re.search(r"MinMemoryNode=(\w+)", job.shown) for job in sleeping(name)]
        return [match[1] for match in found if match]

    assert memory("stopped") == ["100M", "100M"]
    assert memory("failing") == ["100M", "200M"]


def test_two_jobs_at_most_may_be_submitted(driver: Driver):
    """A QOS needs a database; this says what it says."""
    names = [f"limited{n}" for n in range(4)]
    driver.sbatch(
        'case "$*" in *--test-only*) ;; *)\n'
        'if [ "$(squeue --me --noheader | wc -l)" -ge 2 ]; then echo "sbatch: error: '
        "QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates "
        "accounting/QOS policy (job submit limit, user's size and/or time limits)\" >&2; exit 1; "
        "fi;; esac"
    )
    driver.start("sleep 8", " ".join(names))
    assert driver.end() == 0, driver.said
    assert "SLURM takes no job now (sbatch: error: QOSMaxSubmitJobPerUserLimit" in driver.said
    assert {name: [job.state for job in sleeping(name)] for name in names} == {
        name: ["COMPLETED"] for name in names
    }


def test_a_node_is_drained_in_the_middle(driver: Driver):
    driver.start("while [ ! -e go ]; do sleep 0.1; done", "drained")
    driver.wait_for(lambda: driver.begun("drained"))
    node = command("squeue", "--noheader", "--states=RUNNING", "--format=%N").split()[0]
    command("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    try:
        (driver.root / "go").touch()
        assert driver.end() == 0, driver.said
    finally:
        command("scontrol", "update", f"nodename={node}", "state=resume")
    assert [job.state for job in sleeping("drained")] == ["COMPLETED"]


def test_snakemake_inside_a_job(driver: Driver):
    (driver.root / "job.sh").write_text("true\n")
    words = " ".join([sys.executable, "-m", "snakemake", *driver.words, "names=inside"])
    job = ["sbatch", "--wait", "--output=driver.log", f"--chdir={driver.root}", "--wrap", words]
    subprocess.run(job, check=True, timeout=600)
    assert driver.made() == {"inside"}
    assert [job.state for job in sleeping("inside")] == ["COMPLETED"]
