"""The errors of this package."""

from zsl.errors import PassingError, ZslError


class CheckpointError(ZslError):
    """A checkpoint of others, or the server that has it, is not what it was said to be."""


class MovedError(CheckpointError):
    """A name of a repository stands for another commit than when it was first seen."""


class UnreachableError(CheckpointError, PassingError):
    """A server cannot be reached or is busy: a further attempt may succeed."""
