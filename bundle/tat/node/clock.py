"""The times of the node: time of day for what is kept on the disk, elapsed time for waiting."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 900.0


class Clock:
    """The clock of this machine; tests have one of their own."""

    def now(self) -> float:
        """Time of the day, in seconds since 1970; it may be set back."""
        return time.time()

    def elapsed(self) -> float:
        """Seconds since some moment; it never goes back."""
        return time.monotonic()


@dataclass
class GrowingPause:
    """When a step that failed is tried again: after 5 s, and twice as long after each further failure, 15 min at most.

    Args:
        clock: tells the time.
        n_failures: failures since the last success.
        ready_at: when the next try is due, on ``clock.elapsed``.
    """

    clock: Clock
    n_failures: int = 0
    ready_at: float = 0.0

    def fail(self) -> float:
        """Note a failure.

        Returns:
            The pause until the next try [s].
        """
        pause: float = min(FIRST_PAUSE * 2.0 ** min(self.n_failures, 16), LONGEST_PAUSE)
        self.n_failures += 1
        self.ready_at = self.clock.elapsed() + pause
        return pause

    def reset(self) -> None:
        """Note a success."""
        self.n_failures, self.ready_at = 0, 0.0

    @property
    def remaining(self) -> float:
        """Seconds until the next try is due; 0 when it is."""
        return max(0.0, self.ready_at - self.clock.elapsed()) if self.n_failures else 0.0
