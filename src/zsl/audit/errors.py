"""The error of this package."""

from zsl.errors import ZslError


class AuditError(ZslError):
    """The audit cannot be made: there is nothing to audit, or the question is wrong."""
