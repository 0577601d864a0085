"""The error of this package."""

from zsl.errors import ZslError


class LineageError(ZslError):
    """What made an artifact cannot be stated: a module, a pin, a file or a value is missing."""
