"""Progress of long work: a line now and then, to the log and the terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


def duration(seconds: float) -> str:
    """Such as ``42 s``, ``3 min 05 s``, ``2 h 07 min``, ``3 d 04 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


class Progress:
    """Says how far work is, how fast, and how long it will take, every ``every`` seconds."""

    def __init__(
        self,
        what: str,
        total: int,
        *,
        done: int = 0,
        unit: str = "steps",
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._total, self._unit, self._every = what, total, unit, every
        self._clock = clock
        self._started = self._last = clock()
        self._first = done

    def update(self, done: int, details: Callable[[], str] = str) -> None:
        """``done`` units of the total are done; ``details`` is asked only when a line is due."""
        now = self._clock()
        if now - self._last < self._every and done < self._total:
            return
        self._last = now
        elapsed = max(now - self._started, 1e-9)
        rate = (done - self._first) / elapsed
        left = f", {duration((self._total - done) / rate)} left" if rate > 0 else ""
        extra = details()
        log.info(
            "%s: %d of %d %s%s%s",
            self._what,
            done,
            self._total,
            self._unit,
            f", {extra}" if extra else "",
            left,
        )
