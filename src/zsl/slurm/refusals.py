"""What sbatch says when it takes no job: whether it has to be asked again, or never."""

from __future__ import annotations

import re

LIMIT = re.compile(r"accounting/QOS policy|Submit\w*Limit|submit limit", re.IGNORECASE)
"""So many jobs are in the queue already; or, of the first, this one is above a limit by itself."""
PASSING = re.compile(
    r"contact slurm controller|timed out|connection|communication|temporarily unable"
    r"|temporarily unavailable|zero bytes|standby mode|munge|authentication|no answer"
    r"|configuration source|maximum number of jobs",
    re.IGNORECASE,
)
"""SLURM is away, restarts, or has too much to do."""
WRONG = re.compile(r"invalid|not permitted|not allowed|unrecognized|denied|unknown", re.IGNORECASE)
"""What was asked for is none of its words: it would be so tomorrow."""

FIRST, LONGEST = 10.0, 300.0
"""Seconds until a job is submitted again: the first time, and at most."""


def is_limit(said: str) -> bool:
    """Whether there is no room for another job in the queue."""
    return LIMIT.search(said) is not None


def passes(said: str) -> bool:
    """Whether SLURM may take the same job later."""
    return is_limit(said) or PASSING.search(said) is not None


def is_mistake(said: str) -> bool:
    """Whether SLURM says that an account, a partition or an option is wrong."""
    return not passes(said) and WRONG.search(said) is not None


def in_short(said: str) -> str:
    """What SLURM said, out of what the executor plugin tells of it."""
    found = re.search(r"error message was '(.*?)'\.\n", said, re.DOTALL)
    return " ".join((found[1] if found else said).split())
