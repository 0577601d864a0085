"""The error of this package."""

from zsl.errors import ZslError


class CrateError(ZslError):
    """The results cannot be put into a crate: something is missing or is not what it was."""
