"""Who is at work here: what a Snakemake that was killed has left is removed, and what a longer run
would train a second time is said. What is trained, and whole, is not trained again for nothing.

Jobs of this machine end with their Snakemake; those that a scheduler runs on another one do not.
"""

from zsl.running import leave_turn, take_turn
from zsl.training.longer import begun_again
from zsl.training.finished import forget_finished

if workflow.is_main_process:
    take_turn(Path(".snakemake"))
    for line in checked(begun_again, PLAN, Path(RESULTS)):
        logger.warning(line)
elif workflow.remote_exec:
    leave_turn()


onstart:
    if workflow.is_main_process and not workflow.touch:
        require_trained_once()


onsuccess:
    if workflow.is_main_process:
        forget_finished(Path(RESULTS))
        forget_order()
