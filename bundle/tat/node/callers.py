"""The callers of a node: which are connected, which series each has sent, and how its association has ended."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock, Thread

from bundle.tat.node.job_queue import End


@dataclass
class Caller:
    """One association.

    Args:
        name: of the association; no other association has it, now or later.
        series: numbers of the series of its objects, until the queue has noted how the association has ended.
        n_pending: bytes that have come of a message that is not whole.
        is_released: whether the caller has asked for its release.
        is_silent: whether it was ended because the caller stayed connected and sent nothing more.
        has_left: whether its connection is closed.
    """

    name: str = field(default_factory=lambda: secrets.token_hex(16))
    series: set[int] = field(default_factory=set)
    n_pending: float = 0.0
    is_released: bool = False
    is_silent: bool = False
    has_left: bool = False

    @property
    def end(self) -> End:
        """How the association has ended, if it has."""
        if self.is_released:
            return "released"
        return "silent" if self.is_silent else "interrupted"


class Callers:
    """The associations of a node, by their threads. Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._callers: dict[Thread, Caller] = {}

    def of(self, thread: Thread) -> Caller:
        """The caller of an association."""
        with self._lock:
            return self._callers.setdefault(thread, Caller())

    def note_sent(self, thread: Thread, series: int) -> None:
        """Note that an association has sent an object of a series."""
        caller = self.of(thread)
        with self._lock:
            caller.series.add(series)

    def n_connected(self) -> int:
        """How many are connected."""
        with self._lock:
            return sum(not caller.has_left and not _is_over(thread) for thread, caller in self._callers.items())

    def open_series(self) -> set[int]:
        """Series of the callers that are connected, or whose end is not noted yet."""
        with self._lock:
            return {series for caller in self._callers.values() for series in caller.series}

    def settle(self, note: Callable[[str, End], None]) -> None:
        """Note how associations have ended, and forget them.

        Args:
            note: gets the name of an association, and how it has ended. An error of it is raised, and the association
                is noted with the next call.
        """
        with self._lock:
            over = [thread for thread in self._callers if _is_over(thread)]
            ended = [
                (caller, set(caller.series))
                for thread, caller in self._callers.items()
                if caller.series and (caller.is_released or caller.has_left or thread in over)
            ]
        # One that breaks off may have left before the answer to its last object was ready: it is noted once more then.
        for caller, series in ended:
            note(caller.name, caller.end)
            with self._lock:
                caller.series -= series
        with self._lock:
            for thread in over:
                self._callers.pop(thread, None)


def _is_over(thread: Thread) -> bool:
    """Whether a thread has ended; one that has not begun yet has no number."""
    return thread.ident is not None and not thread.is_alive()
