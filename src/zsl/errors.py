"""Errors a user can act on.

Every message says what was wrong, where, what was expected and what to do. The command line
and the Snakefile print such an error as it is, without a traceback.
"""

import re

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that move a cursor, colour or reorder what a terminal shows, or cannot be encoded."""


class ZslError(Exception):
    """Base of all errors that are about the user's input or files, not about our code."""


class PassingError(ZslError):
    """Something outside was in the way, such as another job: a further attempt may succeed."""


class BrokenFileError(ZslError, ValueError):
    """A file is too large, no plain file, or not of the format that its name promises."""


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


FOR_GOOD = "would fail again: not to be tried again"
"""What a job says that fails for a reason of its own; who would submit it again reads it."""


def may_pass(error: BaseException) -> bool:
    """Whether a further attempt may succeed: memory, a disk, a device or another job was in the
    way."""
    if isinstance(error, MemoryError | OSError | PassingError):
        return True
    return re.search("memory|CUDA|NCCL", str(error)) is not None


def printable(text: str) -> str:
    """Text that shows itself on a terminal: control characters are written out."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
