"""Snakemake, but that each rule's first job is submitted at once, and nothing waits for it.

    python render.py DUMP --profile slurm all

The real command line, profile, plan and executor of SLURM are used, and a shell runs each call
of ``sbatch``. With the fake commands of ``conftest.py`` on PATH no scheduler is needed. DUMP
gets the settings that the executor was given, as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import snakemake_executor_plugin_slurm as plugin
from snakemake.cli import main
from snakemake.scheduling.job_scheduler import JobScheduler

dump, *arguments = sys.argv[1:]


def submit_one_job_of_each_rule(scheduler: JobScheduler) -> bool:
    """Take the place of ``JobScheduler.schedule``."""
    workflow = scheduler.workflow
    first = {job.rule.name: job for job in reversed(list(workflow.dag.needrun_jobs()))}
    for job in first.values():
        if not workflow.is_local(job.rule):
            scheduler._executor.run_job(job)
    settings = dataclasses.asdict(workflow.executor_settings)
    others = {
        "jobs": workflow.resource_settings.nodes,
        "cores": workflow.resource_settings.cores,
        "retries": workflow.execution_settings.retries,
        "keep_going": workflow.execution_settings.keep_going,
        "rerun_triggers": sorted(map(str, workflow.dag_settings.rerun_triggers)),
    }
    Path(dump).write_text(json.dumps(settings | others, default=str))
    return True


JobScheduler.schedule = submit_one_job_of_each_rule
plugin.Executor._report_job_submission_threadsafe = lambda executor, info: None
time.sleep = lambda seconds: None  # five seconds before each call of sbatch
main(arguments)
