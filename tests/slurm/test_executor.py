"""What SLURM answers is understood, whatever it keeps or is away for; no scheduler is needed."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from zsl.errors import FOR_GOOD
from zsl.slurm import ask, executor, refusals


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Commands of SLURM that say what they are told to."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))

    def command(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return command


@pytest.mark.parametrize(
    ("script", "keeps"),
    [
        ("echo 'AccountingStorageType   = accounting_storage/slurmdbd'", True),
        ("echo 'AccountingStorageType   = accounting_storage/none'", False),
        ("echo 'AccountingStorageType   = (null)'", False),
        ("exit 1", None),
    ],
)
def test_whether_accounts_are_kept_is_looked_up(slurm, script, keeps):
    slurm("scontrol", script)
    assert ask.keeps_accounts() is keeps


def test_states_are_single_words(slurm):
    slurm("sacct", "printf '1|CANCELLED by 1000\\n2|COMPLETED\\n'")
    assert ask.states("sacct", "name") == {"1": "CANCELLED", "2": "COMPLETED"}
    slurm("squeue", "printf '7|RUNNING\\n'")
    assert ask.states("squeue", "name") == {"7": "RUNNING"}
    slurm("squeue", "exit 1")
    assert ask.states("squeue", "name") is None


def test_a_job_that_slurm_forgot_is_told_from_a_slurm_that_is_away(slurm):
    slurm("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert ask.state("7") == ""
    slurm(
        "scontrol", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
    )
    assert ask.state("7") is None
    slurm("scontrol", "echo 'JobId=7 JobName=x JobState=RUNNING Reason=None'")
    assert ask.state("7") == "RUNNING"


PASSING = [
    "sbatch: error: Batch job submission failed: Unable to contact slurm controller "
    "(connect failure)",
    "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
    "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
    "sbatch: error: QOSMaxSubmitJobPerUserLimit sbatch: error: Batch job submission failed: Job "
    "violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    "sbatch: error: Munge encode failed: Failed to access /run/munge/munge.socket.2",
]
MISTAKES = [
    "sbatch: error: Batch job submission failed: Invalid account or account/partition combination "
    "specified",
    "sbatch: error: invalid partition specified: cpuq",
    "allocation failure: Invalid feature specification",
    "allocation failure: Invalid qos specification",
    "sbatch: unrecognized option '--no-such'",
]
NEITHER = ["allocation failure: Requested node configuration is not available"]
"""Of a drained partition for now, of too much memory for ever."""


def test_what_may_pass_is_told_from_mistakes():
    said = PASSING + MISTAKES + NEITHER
    assert [words for words in said if refusals.passes(words)] == PASSING
    assert [words for words in said if refusals.is_mistake(words)] == MISTAKES


class Waiting(executor.Executor):
    """An executor without a workflow, which notes what it reports."""

    def __init__(self, states: list[dict[str, str] | None], log: Path) -> None:
        self.workflow = SimpleNamespace(
            executor_settings=SimpleNamespace(init_seconds_before_status_checks=1),
            remote_execution_settings=SimpleNamespace(seconds_between_status_checks=1),
        )
        self.logger, self.answers, self.log = logging.getLogger("waiting"), states, log
        self._next_seconds_between_status_checks = None
        self._unsettled, self._stuck = {}, {}
        self._silent, self._said, self.run_uuid = None, 0.0, "run"
        self.reported: list[tuple[str, int]] = []
        self.grown = {}

    def _states(self):
        return self.answers.pop(0)

    def report_job_success(self, job_info) -> None:
        self.reported.append(("success", job_info.job.attempt))

    def report_job_error(self, job_info, msg=None, **kwargs) -> None:
        self.reported.append(("error", job_info.job.attempt))

    def check(self) -> list[str]:
        """One round; numbers of the jobs that are still waited for."""
        job = SimpleNamespace(
            name="fit", wildcards=["main-a"], attempt=1, restart_times=20, output=[self.log]
        )
        info = SubmittedJobInfo(job, external_jobid="7", aux={"slurm_logfile": self.log})

        async def kept() -> list[str]:
            return [left.external_jobid async for left in self.check_active_jobs([info])]

        return asyncio.run(kept())


@pytest.fixture
def waiting(tmp_path: Path, slurm):
    slurm("squeue", "true")
    return lambda *states: Waiting([*states], tmp_path / "job.log")


def test_no_job_is_forgotten_while_slurm_is_away(waiting, caplog):
    away = waiting(None, None, {"7": "RUNNING"}, {"7": "COMPLETED"})
    assert [away.check() for _ in range(4)] == [["7"], ["7"], ["7"], []]
    assert away.reported == [("success", 1)]
    said = [record.message.split(";")[0] for record in caplog.records]
    assert said == ["SLURM does not answer", "SLURM answers again, after 0 min"]


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL", "unknown"])
def test_a_job_that_does_not_come_back_is_not_waited_for(waiting, slurm, monkeypatch, state):
    answer = {} if state == "unknown" else {"7": state}
    gone = waiting(answer, answer)
    assert gone.check() == ["7"]
    monkeypatch.setattr(executor, "SETTLED", 0)
    slurm("scontrol", "echo 'Invalid job id specified' >&2; exit 1")
    assert gone.check() == []
    assert gone.reported == [("error", 1)]


def test_what_a_forgotten_job_made_is_not_made_again(waiting, slurm, monkeypatch):
    gone = waiting({})
    gone.log.touch()
    monkeypatch.setattr(executor, "SETTLED", 0)
    slurm("scontrol", "echo 'Invalid job id specified' >&2; exit 1")
    assert (gone.check(), gone.reported) == ([], [("success", 1)])


def test_only_what_fails_by_itself_is_not_tried_again(waiting):
    failed = waiting({"7": "FAILED"}, {"7": "FAILED"}, {"7": "CANCELLED"})
    failed.log.write_text("killed\n")
    failed.check()
    failed.log.write_text(f"[fit main-a] {FOR_GOOD}\n")
    failed.check()
    failed.check()
    assert failed.reported == [("error", 1), ("error", 21), ("error", 1)]


def test_memory_that_was_never_enough_is_not_asked_for_again(waiting):
    full = waiting(*[{"7": "OUT_OF_MEMORY"}] * 3)
    for _ in range(3):
        full.check()
    assert full.reported == [("error", 1), ("error", 1), ("error", 21)]


def test_a_job_that_waits_for_somebody_is_said_once(waiting, slurm, caplog):
    slurm("squeue", "echo '7|PartitionTimeLimit'")
    stuck = waiting({"7": "PENDING"}, {"7": "PENDING"})
    assert [stuck.check(), stuck.check()] == [["7"], ["7"]]
    (said,) = [record.message for record in caplog.records]
    assert "SLURM job 7 (rule fit) does not start by itself: PartitionTimeLimit" in said
