"""Errors a user can act on.

Every message says what was wrong, where, what was expected and what to do. The command line
and the Snakefile print such an error as it is, without a traceback.
"""


class ZslError(Exception):
    """Base of all errors that are about the user's input or files, not about our code."""


class ConfigError(ZslError):
    """The configuration cannot be run as written."""


class DataError(ZslError):
    """A source, a tokenizer or a token file is not what it was declared to be."""


class TrainingError(ZslError):
    """Training stopped because going on would waste or damage work."""


class MeasurementError(ZslError):
    """A checkpoint or an evaluation set cannot be measured."""


class FitError(ZslError):
    """A curve cannot be fitted."""
