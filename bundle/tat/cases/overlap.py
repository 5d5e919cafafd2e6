"""Reading the next item and writing the last one while another is processed."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Ok(Generic[T]):
    """A step that went well.

    Args:
        value: what it returned.
        seconds: time that it and the steps before it took, without the time between them [s].
    """

    value: T
    seconds: float

    def map(self, step: Callable[[T], R]) -> Ok[R] | Err:
        """Take the next step with the value.

        Args:
            step: may raise any ``Exception``.
        """
        outcome = capture(lambda: step(self.value))
        return replace(outcome, seconds=self.seconds + outcome.seconds)


@dataclass(frozen=True)
class Err:
    """A step that raised an error, which is kept for the code that handles the item.

    Args:
        error: what it raised.
        seconds: time until the error, with that of the steps before [s].
    """

    error: Exception
    seconds: float

    def map(self, _: Callable[[Any], object]) -> Err:
        """Take no step after one that failed."""
        return self


def capture(step: Callable[[], R]) -> Ok[R] | Err:
    """Take a step in the calling thread.

    Args:
        step: may raise any ``Exception``.

    Returns:
        Its value or its error.
    """
    start = time.monotonic()
    try:
        return Ok(step(), time.monotonic() - start)
    except Exception as error:
        return Err(error, time.monotonic() - start)


class Prefetcher(Generic[T]):
    """Hands out items in their order, and reads the next one in a thread while one is processed.

    Nothing is read beyond the next item. So two items are in memory: the one that was handed out and the next.

    Args:
        read: reads the item of an index.
        n_items: number of the items.
        threaded: read ahead. Otherwise an item is read when it is taken, and no thread is started.
    """

    def __init__(self, read: Callable[[int], T], n_items: int, *, threaded: bool) -> None:
        self._read = read
        self._n_items = n_items
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read_ahead") if threaded else None
        self._ahead: Future[Ok[T] | Err] | None = None

    def take(self, index: int) -> Ok[T] | Err:
        """Wait for an item, and begin to read the one after it.

        Args:
            index: 0 at first, then one more each time.
        """
        outcome = self._attempt(index) if self._ahead is None else self._ahead.result()
        self._ahead = None
        if self._pool is not None and index + 1 < self._n_items:
            self._ahead = self._pool.submit(self._attempt, index + 1)
        return outcome

    def _attempt(self, index: int) -> Ok[T] | Err:
        return capture(lambda: self._read(index))

    def close(self) -> None:
        """Wait for the item that is being read, if any, and forget it."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._ahead = None


class AsyncWriter(Generic[T]):
    """Writes an item in a thread, while the next one is processed.

    Args:
        threaded: use a thread. Otherwise an item is written by the time that ``put`` returns.
    """

    def __init__(self, *, threaded: bool) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="write_behind") if threaded else _AtOnce()
        self._behind: tuple[int, Future[Ok[T] | Err]] | None = None

    @property
    def is_done(self) -> bool:
        """Whether ``settle`` would not wait, since what was put is written or nothing was."""
        return self._behind is None or self._behind[1].done()

    def put(self, index: int, write: Callable[[], Ok[T] | Err]) -> None:
        """Begin to write an item.

        Args:
            index: of the item; ``settle`` returns it.
            write: writes it, and raises nothing.

        Raises:
            RuntimeError: the item before has not been settled.
        """
        if self._behind is not None:
            raise RuntimeError(f"item {self._behind[0]} has to be settled before item {index} is put")
        self._behind = (index, self._pool.submit(write))

    def settle(self) -> tuple[int, Ok[T] | Err] | None:
        """Wait until the item is written, and forget it.

        Returns:
            The item's index, and its value or error; ``None`` when there is no item.
        """
        if self._behind is None:
            return None
        index, future = self._behind
        outcome = future.result()
        self._behind = None
        return index, outcome

    def close(self) -> None:
        """Wait for the item that is being written, if any: it is written whole even when the run has failed."""
        self._pool.shutdown()


class _AtOnce(Executor):
    """An executor that starts no thread: each call is done before ``submit`` returns."""

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        future: Future[R] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
