"""The executor plugin of SLURM, but that no job of it is lost.

The plugin (2.6.1, and newer ones in part) forgets its jobs when SLURM does not answer for some
seconds, drops a job that it cannot submit without a word, and takes every refusal and every end
alike. What is made of jobs and submitted is its own; what an answer means is decided here.
"""

from __future__ import annotations

import asyncio
import shlex
import threading
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from snakemake.exceptions import WorkflowError
from snakemake_executor_plugin_slurm import Executor as Plugin
from snakemake_executor_plugin_slurm import SubmittedJobInfo
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string
from snakemake_executor_plugin_slurm.validation import validate_slurm_extra

from zsl.errors import FOR_GOOD
from zsl.planning.cluster import RESOURCES
from zsl.planning.growth import UNTRIED, Growth, after
from zsl.slurm import ask, refusals

FAILED = {"BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"}
UNSETTLED = {"", "NODE_FAIL", "PREEMPTED", "REVOKED"}
"""States out of which SLURM may start a job again; empty: it does not know the job (yet)."""
SETTLED = 600.0
"""Seconds after which it will not."""
AGAIN, QUIET = 60.0, 1800.0
"""Seconds until a SLURM that does not answer is asked again, and until that is said again."""
SLOWEST = 180.0
"""Seconds between two questions, at most."""


class Executor(Plugin):  # type: ignore[misc]
    """Submits jobs, waits for them, and says what it waits for."""

    grown: ClassVar[dict[tuple[str, ...], Growth]] = {}
    """By rule and wildcards, of jobs that were tried before."""

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self._ending = threading.Event()
        self._checked = False
        self._keeps_accounts: bool | None = None
        self._submitting: set[Any] = set()
        self._refused: dict[Any, str] = {}
        self._unsettled: dict[str, float] = {}
        self._stuck: dict[str, str] = {}
        self._silent: float | None = None
        self._said = 0.0

    def cancel(self) -> None:
        """Cancel the jobs; what could not be submitted yet never is."""
        self._ending.set()
        super().cancel()

    def shutdown(self) -> None:
        """End; what could not be submitted yet never is."""
        self._ending.set()
        super().shutdown()

    def run_jobs(self, jobs: list[Any]) -> None:
        """Submit jobs; before the first, ask SLURM whether it would take what all will ask for."""
        if not self._checked:
            self._checked = True
            self._check()
        super().run_jobs(jobs)

    def _check(self) -> None:
        """Raise WorkflowError where SLURM has no such account, partition or option."""
        asked: dict[tuple[object, ...], Any] = {}
        for job in self.workflow.dag.needrun_jobs():
            if not job.is_local:
                key = *(job.resources.get(name) for name in RESOURCES), job.threads
                asked.setdefault(key, job)
        for job in asked.values():
            said = self._refusal(job)
            if refusals.is_mistake(said):
                raise WorkflowError(
                    f"nothing was submitted: SLURM takes no job of rule {job.rule.name}: {said}; "
                    "mend profiles/slurm/site.yaml (docs/cluster.md), then start again"
                )
            if said and not refusals.passes(said):
                self.logger.warning(f"SLURM would now refuse rule {job.rule.name}: {said}")

    def _refusal(self, job: Any) -> str:
        try:
            validate_slurm_extra(job)
        except WorkflowError as error:
            return f"slurm_extra = {job.resources.slurm_extra!r} is not allowed: {error}"
        parameters = {
            "run_uuid": self.run_uuid,
            "slurm_logfile": "/dev/null",
            "comment_str": "",
            "account": next(self.get_account_arg(job)),
            "partition": self.get_partition_arg(job),
            "workdir": self.workflow.workdir_init,
        }
        call = get_submit_command(job, parameters, settings=self.workflow.executor_settings)
        return ask.refusal(call + set_gres_string(job))

    def get_account_arg(self, job: Any) -> Iterator[str]:
        """The account as it is given; sbatch alone knows which are right."""
        account = job.resources.get("slurm_account")
        yield f" -A {shlex.quote(str(account))}" if account else ""

    def run_job(self, job: Any) -> None:
        """Submit a job, again and more slowly as long as what is in the way may pass."""
        info = SubmittedJobInfo(job)
        for attempt in count():
            said = self._submit(job)
            if said is None:
                return
            if not refusals.passes(said) or (refusals.is_limit(said) and not ask.have_jobs()):
                self._end_for_good(job)
                return super()._report_job_error_threadsafe(info, f"SLURM refused it: {said}. ")
            pause = min(refusals.FIRST * 1.5**attempt, refusals.LONGEST)
            self.logger.warning(f"SLURM takes no job now ({said}); again in {pause:.0f} s")
            if self._ending.wait(pause):
                return

    def _submit(self, job: Any) -> str | None:
        """Submit a job once; None, or what SLURM or the plugin says against it."""
        self._submitting.add(job)
        try:
            super().run_job(job)
        except Exception as error:  # it would be lost: this is a thread of a pool
            return refusals.in_short(str(error) or repr(error))
        finally:
            self._submitting.discard(job)
        return self._refused.pop(job, None)

    def _report_job_error_threadsafe(self, job_info: SubmittedJobInfo, msg: str) -> None:
        if job_info.job in self._submitting:
            self._refused[job_info.job] = refusals.in_short(msg)
        else:
            super()._report_job_error_threadsafe(job_info, msg)

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """Yield the jobs that wait or run, and report the others."""
        first = self.workflow.executor_settings.init_seconds_before_status_checks
        if not active_jobs:
            self.next_seconds_between_status_checks = first
            return
        states = await asyncio.to_thread(self._states)
        if states is None:
            self._say_silence(len(active_jobs))
            self.next_seconds_between_status_checks = AGAIN
            for job in active_jobs:
                yield job
            return
        if self._silent is not None:
            minutes = (time.monotonic() - self._silent) / 60
            self.logger.warning(f"SLURM answers again, after {minutes:.0f} min")
            self._silent = None
        waiting = []
        for job in active_jobs:
            if await asyncio.to_thread(self._is_waited_for, job, states):
                waiting.append(job)
                yield job
        await asyncio.to_thread(self._say_stuck, waiting)
        slower = min((self.next_seconds_between_status_checks or 0) + 10, SLOWEST)
        none_ended = len(waiting) == len(active_jobs)
        self.next_seconds_between_status_checks = slower if none_ended else first

    def _states(self) -> dict[str, str] | None:
        if self._keeps_accounts is None:
            self._keeps_accounts = ask.keeps_accounts()
        command = "squeue" if self._keeps_accounts is False else self.get_status_command()
        return ask.states(command, self.run_uuid)

    def _is_waited_for(self, job: SubmittedJobInfo, states: dict[str, str]) -> bool:
        """Report a job that has ended; True for all others."""
        state = states.get(job.external_jobid, "")
        if state in UNSETTLED:
            since = self._unsettled.setdefault(job.external_jobid, time.monotonic())
            if time.monotonic() - since < SETTLED:
                return True
            if state == "":
                found = ask.state(job.external_jobid)
                if found is None:
                    return True
                state = found or ("COMPLETED" if _is_made(job.job) else "")
        if state == "COMPLETED":
            self.report_job_success(job)
            return False
        if state in UNSETTLED | FAILED:
            self._fail(job, state)
            return False
        self._unsettled.pop(job.external_jobid, None)
        return True

    def _fail(self, info: SubmittedJobInfo, state: str) -> None:
        """Report a job that ended without success, which says what becomes of it."""
        job, log = info.job, info.aux["slurm_logfile"]
        said = f"SLURM job {info.external_jobid} ended: {state or 'SLURM no longer knows it'}. "
        key = (job.name, *job.wildcards)
        growth = self.grown[key] = after(self.grown.get(key, UNTRIED), state)
        if state == "FAILED" and _says_for_good(log):
            self._end_for_good(job)
            said += "It fails by itself, as its log says, and is not tried again. "
        elif growth.is_spent:
            self._end_for_good(job)
            said += "It had as much as jobs may ask for, and is not tried again. "
        self.report_job_error(info, msg=said, aux_logs=[str(log)])

    def _end_for_good(self, job: Any) -> None:
        job.attempt = job.restart_times + 1

    def _say_silence(self, jobs: int) -> None:
        now = time.monotonic()
        if self._silent is None:
            self._silent, self._said = now, 0.0
        if now - self._said > QUIET or not self._said:
            self._said = now
            self.logger.warning(
                f"SLURM does not answer; {jobs} jobs are waited for, and asked about every "
                f"{AGAIN:.0f} s (scontrol ping says how it is; Ctrl-C and the same command later "
                "do no harm)"
            )

    def _say_stuck(self, jobs: list[SubmittedJobInfo]) -> None:
        stuck = ask.stuck(self.run_uuid)
        for job in jobs:
            reason = stuck.get(job.external_jobid, "")
            if reason and self._stuck.get(job.external_jobid) != reason:
                self._stuck[job.external_jobid] = reason
                self.logger.warning(
                    f"SLURM job {job.external_jobid} (rule {job.job.name}) does not start by "
                    f"itself: {reason}; docs/cluster.md says what to do"
                )


def _is_made(job: Any) -> bool:
    """Whether all that a job makes is there."""
    return all(Path(path).exists() for path in job.output)


def _says_for_good(log: Path) -> bool:
    """Whether a job has said itself that it would fail again."""
    try:
        return FOR_GOOD in log.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not there (yet): then it may be tried again
        return False
