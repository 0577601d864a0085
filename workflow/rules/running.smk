"""Who is at work here: what a Snakemake that was killed has left is removed.

Jobs of this machine end with their Snakemake; those that a scheduler runs on another one do not.
"""

from zsl.running import leave_turn, take_turn
from zsl.training.published import forget_finished

if workflow.is_main_process:
    take_turn(Path(".snakemake"))
elif workflow.remote_exec:
    leave_turn()


onsuccess:
    if workflow.is_main_process:
        forget_finished(Path(RESULTS))
