"""The whole node: received series are restored, restored series are sent, and old ones are removed."""

from __future__ import annotations

import logging
import signal
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread, current_thread, main_thread
from types import FrameType
from typing import Any, Final

from bundle.tat.node.clock import Clock, GrowingPause
from bundle.tat.node.counters import Counters
from bundle.tat.node.errors import place_of
from bundle.tat.node.files import NodeFiles
from bundle.tat.node.job_queue import FINAL, Job, JobQueue, State
from bundle.tat.node.receiver import Receiver
from bundle.tat.node.restorer import DiskFullError, Restorer
from bundle.tat.node.sender import ReceiverSilentError, RejectedError, Sender
from bundle.tat.node.settings import NodeSettings
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

# A job whose objects the receiver refused this number of times has failed.
MAX_REJECTIONS: Final = 5
# Threads look again after this time even if nothing has changed [s]: a pause may have ended.
_LOOK_AGAIN: Final = 0.5
_SECONDS_BETWEEN_METRICS: Final = 15.0
_SECONDS_BETWEEN_REMOVALS: Final = 60.0
# Series that an operator should look at stay at least this time [s], even if others are kept for less.
_SECONDS_TO_LOOK: Final = 86400.0
# Loggers of libraries that quote values of a data set.
_TALKATIVE: Final = ("pydicom", "pynetdicom")


class Node:
    """A node. Each step is a call of its own; ``run`` repeats them in threads.

    Args:
        settings: of the node.
        files: of the node; ``files.owned()`` keeps other nodes out.
        restorer: makes derived objects.
        metrics_file: file for the counters for monitoring; ``None`` for none.
        clock: gives the time.
        free_bytes: gives the free space on the disk; ``None`` asks the system.

    Raises:
        RefusedInputError: the folder cannot be used, or the node cannot listen on the address.
    """

    def __init__(
        self,
        settings: NodeSettings,
        files: NodeFiles,
        restorer: Restorer,
        *,
        metrics_file: Path | None = None,
        clock: Clock | None = None,
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._settings = settings
        self._restorer = restorer
        self._metrics_file = metrics_file
        self._clock = Clock() if clock is None else clock
        self.files = files
        self._free_bytes = self.files.free_bytes if free_bytes is None else free_bytes
        self.counters = Counters()
        self.queue = JobQueue(self.files.queue, self._clock)
        self.receiver = Receiver(settings, self.queue, self.files, self.counters, self._clock, self._free_bytes)
        self._sender = Sender(settings)
        # Each pause belongs to the thread that takes its step.
        self._silence = GrowingPause(self._clock)
        self._rejections: dict[int, GrowingPause] = {}
        self._disk = GrowingPause(self._clock)
        steps = (self.restore_next, self.send_next, self.complete_series, self.remove_old, self.write_metrics)
        self._pauses = {step.__name__: GrowingPause(self._clock) for step in (*steps, self._is_done)}
        self._stopped = Event()
        self._fault = ""
        # Final states of the jobs of this run, which the queue may have forgotten.
        self._outcomes: dict[int, State] = {}
        # The job whose restoration was begun, until the queue has noted its result.
        self._begun: int | None = None

    def recover(self) -> None:
        """Continue with the jobs of an earlier process, and remove its unrecorded files."""
        n_removed = self.files.sweep(self.queue.known_files(), self.queue.known_jobs())
        if n_removed:
            logger.info("%d files and folders of an earlier run that no job needs were removed", n_removed)
        for job in self.queue.recover():
            logger.error("job %d: failed: its restoration was begun %d times and never ended", job.id, job.n_starts)
        waiting = [job for job in self.queue.jobs() if job.state not in FINAL]
        if waiting:
            logger.info("%d series of an earlier run are continued", len(waiting))

    # The steps.

    def complete_series(self) -> None:
        """Put series that are complete into the queue for restoration."""
        for job in self.receiver.complete_series():
            came = f"{job.n_instances} objects, {job.n_bytes / 1e6:.1f} MB, from {job.calling_ae}"
            if job.state == "incomplete":
                logger.warning("job %d: incomplete: received %s, but %s", job.id, came, job.reason)
                self._outcomes[job.id] = "incomplete"
            else:
                doubt = f"; {job.remark}" if job.remark else ""
                logger.info("job %d: complete: %s%s", job.id, came, doubt)

    def restore_next(self) -> bool:
        """Restore the next series that waits.

        Returns:
            Whether there was one whose turn has come.
        """
        if self._disk.remaining:
            return False
        if self._begun is not None:  # the disk was too full to note its result
            self.queue.put_back(self._begun)
            self._begun = None
        if (job := self.queue.start_next()) is None:
            return False
        self._begun = job.id
        is_restored = self._restore(job)
        self._begun = None
        return is_restored

    def _restore(self, job: Job) -> bool:
        """Restore a job, and note its result; ``False`` if the disk is full."""
        began = self._clock.elapsed()
        try:
            files = [self.files.received / name for name in self.queue.files(job)]
            restored = self._restorer.restore(job.id, files, job.remark)
        except DiskFullError:
            logger.error("job %d: the disk is full, next try in %.0f s", job.id, self._disk.fail())
            self.queue.put_back(job.id)
            return False
        except Exception as error:
            self._fail(job, f"an error of the program: {place_of(error)}")
            return True
        self._disk.reset()
        seconds = self._clock.elapsed() - began
        self.counters.add("restoring_seconds_total", seconds)
        self.counters.add("volumes_restored_total", restored.n_volumes)
        reason = _one_line(restored.reason)
        if not restored.files:
            self.queue.refuse(job.id, reason or "it holds no image that can be restored")
            self._outcomes[job.id] = "refused"
            logger.warning("job %d: refused: %s", job.id, reason)
            return True
        self.queue.restored(job.id, [str(file.relative_to(self.files.results)) for file in restored.files], reason)
        also = f"; refused: {reason}" if reason else ""
        logger.info("job %d: restored in %.1f s: %d objects%s", job.id, seconds, len(restored.files), also)
        return True

    def send_next(self) -> bool:
        """Send the next series whose turn has come.

        Returns:
            Whether there was one.
        """
        if self._silence.remaining:
            return False
        pausing = {job for job, pause in self._rejections.items() if pause.remaining}
        job = next((one for one in self.queue.to_send() if one.id not in pausing), None)
        if job is None:
            return False
        names = {self.files.results / name: name for name in self.queue.unsent(job.id)}
        began = self._clock.elapsed()

        def note(path: Path) -> None:
            self.queue.sent(job.id, names[path])
            self.counters.add("instances_sent_total")

        with self._noting_failure(job):
            if names:  # none where an earlier process ended just after the last one
                self._sender.send(names, note, is_stopped=self._stopped.is_set)
            self._silence.reset()
            if not self.queue.unsent(job.id):
                self._rejections.pop(job.id, None)
                self.queue.finish(job.id)
                self._outcomes[job.id] = "done"
                seconds = self._clock.elapsed() - began
                logger.info("job %d: done: %d objects sent in %.1f s", job.id, len(names), seconds)
        return True

    def remove_old(self) -> None:
        """Remove series that were done longer ago than the settings keep them."""
        now, keep = self._clock.now(), self._settings.limits.keep_seconds
        for series, jobs in self.queue.remove_before(now - keep, now - max(keep, _SECONDS_TO_LOOK)):
            self.files.remove(series, jobs)
            logger.info("removed: %s", ", ".join(f"job {job}" for job in jobs))

    def write_metrics(self) -> None:
        """Write the file for monitoring, if there is one; the node goes on if it cannot be written."""
        if self._metrics_file is None:
            return
        gauges = {("jobs", f'state="{state}"'): float(count) for state, count in self.queue.counts().items()}
        gauges["free_bytes", ""] = float(self._free_bytes())
        gauges["written_timestamp_seconds", ""] = self._clock.now()
        try:
            self.counters.write(self._metrics_file, gauges)
        except RefusedInputError as error:
            logger.warning("%s", error)

    @contextmanager
    def _noting_failure(self, job: Job) -> Iterator[None]:
        """Note why a job is not sent, and when it is tried again."""
        try:
            yield
        except ReceiverSilentError as error:
            self.counters.add("sending_failures_total")
            logger.warning("job %d: not sent: %s; next try in %.0f s", job.id, error, self._silence.fail())
        except RejectedError as error:
            self.counters.add("sending_failures_total")
            self._silence.reset()
            self._reject(job, str(error))
        except FileNotFoundError:
            logger.warning("job %d: its results are missing or damaged, it is restored again", job.id)
            self.queue.put_back(job.id)
            self.files.remove_results([job.id])  # restoring keeps what is there

    def _reject(self, job: Job, reason: str) -> None:
        n_rejections = self.queue.rejected(job.id)
        if n_rejections >= MAX_REJECTIONS:
            self._rejections.pop(job.id, None)
            self._fail(job, f"{reason}, {n_rejections} times")
        else:
            pause = self._rejections.setdefault(job.id, GrowingPause(self._clock)).fail()
            logger.warning("job %d: not sent: %s; next try in %.0f s", job.id, reason, pause)

    def _fail(self, job: Job, reason: str) -> None:
        self.queue.fail(job.id, reason)
        self._outcomes[job.id] = "failed"
        logger.error("job %d: failed: %s", job.id, reason)

    # The whole.

    def run(self, *, once: bool = False) -> None:
        """Serve until ``stop`` is called.

        Args:
            once: end when no received series is in progress any more.

        Raises:
            RefusedInputError: with ``once``, some series are not done; or the program has failed.
        """
        with _quiet_libraries(), self._ending_on_signals():
            self.recover()
            self.receiver.start()
            to = self._settings.send_to
            logger.info(
                "%s listens on %s port %d and sends to %s, %s port %d",
                *(self._settings.ae_title, self._settings.bind, self.receiver.port),
                *(to.ae_title, to.host, to.port),
            )
            threads = [
                Thread(target=self._loop, args=(step,), name=step.__name__)
                for step in (self.restore_next, self.send_next)
            ]
            for thread in threads:
                thread.start()
            try:
                self._keep_house(once=once)
            finally:
                self.stop()
                self.receiver.stop()
                for thread in threads:
                    thread.join()
                self._guard(self.write_metrics)
        if self._fault:
            raise RefusedInputError(
                f"the node has ended by an error of the program, {self._fault}: report it and start the node again"
            )
        if once:
            self._check_outcome()

    def stop(self) -> None:
        """End ``run``: the series in restoration is finished, and all others are continued at the next start."""
        self._stopped.set()
        self.queue.wake()

    def _keep_house(self, *, once: bool) -> None:
        """The loop of the main thread."""
        metrics_due = removal_due = self._clock.elapsed()
        while not self._stopped.is_set():
            self._guard(self.complete_series)
            if self._clock.elapsed() >= removal_due:
                self._guard(self.remove_old)
                removal_due = self._clock.elapsed() + _SECONDS_BETWEEN_REMOVALS
            if self._clock.elapsed() >= metrics_due:
                self._guard(self.write_metrics)
                metrics_due = self._clock.elapsed() + _SECONDS_BETWEEN_METRICS
            if once and self._guard(self._is_done):
                return
            self.queue.wait(_LOOK_AGAIN)

    def _loop(self, step: Callable[[], bool]) -> None:
        """The loop of a thread: one step after the other."""
        while not self._stopped.is_set():
            if not self._guard(step):
                self.queue.wait(_LOOK_AGAIN)

    def _guard(self, step: Callable[[], bool | None]) -> bool:
        """Take a step, unless it pauses after an error of the disk. Any other error of the program ends the node."""
        pause = self._pauses[step.__name__]
        if pause.remaining:
            return False
        try:
            result = bool(step())
            pause.reset()
            return result
        except (sqlite3.OperationalError, OSError) as error:
            logger.error("%s; next try in %.0f s", place_of(error), pause.fail())
        except Exception as error:
            self._fault = place_of(error)
            logger.error("the node ends: %s", self._fault)
            self.stop()
        return False

    def _is_done(self) -> bool:
        """Whether something was received, and no job is in progress."""
        jobs = self.queue.jobs()
        return bool(self._outcomes) and not self.receiver.n_callers and all(job.state in FINAL for job in jobs)

    def _check_outcome(self) -> None:
        n_bad = sum(outcome != "done" for outcome in self._outcomes.values())
        if n_bad:
            raise RefusedInputError(
                f"{n_bad} of {len(self._outcomes)} series are not done: tat serve --status gives the reasons"
            )

    @contextmanager
    def _ending_on_signals(self) -> Iterator[None]:
        """End on SIGTERM and Ctrl-C; a second one ends the process at once."""
        if current_thread() is not main_thread():
            yield
            return

        def end(number: int, _: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            logger.info("the node ends when the series in restoration is done; a second signal ends it at once")
            self._stopped.set()

        before: dict[int, Any] = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep libraries that quote values of data sets, patients' names among them, out of the log."""
    before = {name: logging.getLogger(name).level for name in _TALKATIVE}
    try:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _one_line(text: str) -> str:
    return " ".join(text.split())
