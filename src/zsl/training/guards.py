"""What keeps a death from losing work."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_signal() -> Iterator[list[str]]:
    """A list that holds the signal's name once SIGTERM, SIGUSR1 or SIGINT has arrived."""
    arrived: list[str] = []

    def note(number: int, frame: object) -> None:
        arrived.append(signal.Signals(number).name)

    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = [signal.signal(number, note) for number in numbers]
    try:
        yield arrived
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class SaveClock:
    """Says when the state should be saved again: rarely enough to cost at most 2 % of the time."""

    MINIMUM_SECONDS = 30.0
    SHARE = 0.02

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._cost = 0.0

    def due(self) -> bool:
        """Whether enough time has passed since the last save."""
        wait = max(self.MINIMUM_SECONDS, self._cost / self.SHARE)
        return time.monotonic() - self._last > wait

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around a save."""
        started = time.monotonic()
        yield
        self._last = time.monotonic()
        self._cost = self._last - started
