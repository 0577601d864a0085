"""Files that patterns of a configuration name."""

from __future__ import annotations

from pathlib import Path

from zsl.errors import DataError


def matching(base: Path, pattern: str) -> list[Path]:
    """Plain files below ``base`` that match a glob pattern, sorted.

    Raises DataError for a pattern that no file system can be searched for.
    """
    try:
        return sorted(path for path in base.glob(pattern) if path.is_file())
    except (ValueError, OSError, NotImplementedError) as error:
        raise DataError(f"pattern {pattern!r}: {error}; correct it") from None
