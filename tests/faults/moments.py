"""Jobs that wait at a chosen moment, so that what happens then is no matter of luck."""

from __future__ import annotations

import time

from kill import jobs_of

PAUSE = """
def _pause(rule, asked):
    import signal

    if rule == asked:
        Path("reached").touch()
        signal.pause()
"""
JOB = "src/zsl/job.py"
"""No fingerprint counts it: it can be changed, and nothing becomes stale."""
BODY = "            yield facts\n"


def wait_for(condition, running):
    """Wait until ``condition`` holds, as long as Snakemake runs, and return its value."""
    while not (value := condition()):
        assert running.poll() is None, "Snakemake ended before the moment waited for"
        time.sleep(0.01)
    return value


def stop_in(project, rule: str, *, at_exit: bool = False):
    """Let jobs of a rule wait before their work, or at their exit; undo with what returns."""
    path = project.root / JOB
    original = path.read_text()
    call = f"_pause(snakemake.rule, {rule!r})"
    if at_exit:
        call = f"__import__('atexit').register(_pause, snakemake.rule, {rule!r})"
    project.replace(JOB, BODY, f"            {call}\n{BODY}")
    path.write_text(path.read_text() + PAUSE)
    return lambda: path.write_text(original)


def start_until_stopped(project, *targets: str):
    """Snakemake, and the job that waits."""
    running = project.start(*targets)
    wait_for((project.root / "reached").exists, running)
    (job,) = [process for process in jobs_of(running) if "bash" not in process.name()]
    return running, job
