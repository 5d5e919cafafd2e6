"""The queue on disk: which objects came, and how far each series is. It survives ``kill -9`` and loss of power."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Final, Literal, NamedTuple

from bundle.tat.node.clock import Clock
from bundle.tat.refusal import RefusedInputError

State = Literal["receiving", "waiting", "restoring", "sending", "done", "refused", "failed"]

STATES: Final[tuple[State, ...]] = ("receiving", "waiting", "restoring", "sending", "done", "refused", "failed")
# States that a job stays in.
FINAL: Final[tuple[State, ...]] = ("done", "refused", "failed")
# A series during whose restoration the process died so often is not tried again: it may be what kills it.
MAX_STARTS: Final = 5

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    UNIQUE (study_uid, series_uid)
);
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    series INTEGER NOT NULL REFERENCES series,
    state TEXT NOT NULL,
    calling_ae TEXT NOT NULL,
    received REAL NOT NULL,
    changed REAL NOT NULL,
    n_starts INTEGER NOT NULL DEFAULT 0,
    n_rejections INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX job_of_series ON job (series);
CREATE TABLE instance (
    uid TEXT PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series,
    job INTEGER NOT NULL REFERENCES job,
    file TEXT NOT NULL,
    syntax TEXT NOT NULL,
    digest TEXT NOT NULL,
    n_bytes INTEGER NOT NULL
);
CREATE INDEX instance_of_series ON instance (series, job);
CREATE TABLE result (
    job INTEGER NOT NULL REFERENCES job,
    file TEXT NOT NULL,
    is_sent INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, file)
);
"""
_JOB: Final = """
SELECT job.id, job.series, job.state, job.calling_ae, job.received, job.changed, job.n_starts, job.n_rejections,
       job.reason,
       (SELECT count(*) FROM instance WHERE instance.series = job.series AND instance.job <= job.id),
       (SELECT coalesce(sum(n_bytes), 0) FROM instance WHERE instance.series = job.series AND instance.job <= job.id),
       (SELECT count(*) FROM result WHERE result.job = job.id),
       (SELECT count(*) FROM result WHERE result.job = job.id AND is_sent)
FROM job
"""


class Job(NamedTuple):
    """A series on its way. The objects of a job are all that have come of its series until the job was closed.

    Args:
        id: number of the job, which logs call it by.
        series: number of its series.
        state: how far it is.
        calling_ae: title of who sent its first object.
        received: when its first object came, in seconds since 1970.
        changed: when its state changed last, or an object came.
        n_starts: how often its restoration was begun.
        n_rejections: how often the receiver took the connection and refused an object.
        reason: why it was refused or failed, or what of it was; empty where nothing was.
        n_instances: objects.
        n_bytes: their size.
        n_results: objects that restoration made.
        n_sent: those that the receiver has.
    """

    id: int
    series: int
    state: State
    calling_ae: str
    received: float
    changed: float
    n_starts: int
    n_rejections: int
    reason: str
    n_instances: int
    n_bytes: int
    n_results: int
    n_sent: int


@dataclass(frozen=True)
class Instance:
    """An object that came.

    Args:
        uid: SOP Instance UID (0008,0018).
        study_uid: Study Instance UID (0020,000D).
        series_uid: Series Instance UID (0020,000E).
        syntax: UID of the transfer syntax that it came in.
        digest: of its encoded data set, SHA-256.
        n_bytes: size of its file.
    """

    uid: str
    study_uid: str
    series_uid: str
    syntax: str
    digest: str
    n_bytes: int


class Added(NamedTuple):
    """What became of an object that came.

    Args:
        job: the job that it belongs to.
        is_new: whether it had not come before.
        is_conflict: whether another object came before under its UID; that one stays.
    """

    job: int
    is_new: bool
    is_conflict: bool = False


class SeriesTooLargeError(Exception):
    """A series would grow beyond its bound."""


class JobQueue:
    """The jobs of one node, in one file of SQLite. Threads may share it; another process may only read it.

    Each change is on the disk when the call returns. ``changed`` is notified of each.

    Args:
        path: of the database; it is made where there is none.
        clock: tells the time.
        read_only: look only, at the queue of another process perhaps.

    Raises:
        RefusedInputError: there is nothing to read, it cannot be opened, or another version wrote it.
    """

    def __init__(self, path: Path, clock: Clock, *, read_only: bool = False) -> None:
        if read_only and not path.is_file():
            raise RefusedInputError(f"{path.parent} holds no queue: pass --folder of a node that has run")
        target = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        self._clock = clock
        self.changed = Condition()
        try:
            if not read_only:
                # It names series, so it is for the node's user alone, as are the files that SQLite makes beside it.
                path.touch(mode=0o600)
            self._connection = sqlite3.connect(
                target, uri=True, isolation_level=None, check_same_thread=False, timeout=60
            )
            if not read_only:
                self._set_up()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise RefusedInputError(
                f"the queue {path} cannot be opened: {error}; look at its rights and its disk, or pass another --folder"
            ) from error
        if version != _VERSION:
            raise RefusedInputError(f"{path} was written by another version of this program: pass another --folder")

    def _set_up(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        if self._connection.execute("PRAGMA user_version").fetchone() == (0,):
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")

    def close(self) -> None:
        """Close the database."""
        with self.changed:
            self._connection.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, whole or not at all; those who wait are told when it is on the disk."""
        with self.changed:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self.changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Wait until something changes, or until the time is over.

        Args:
            timeout: [s].
        """
        with self.changed:
            self.changed.wait(timeout)

    def wake(self) -> None:
        """Let those who wait look again."""
        with self.changed:
            self.changed.notify_all()

    # What comes in.

    def add(self, instance: Instance, calling_ae: str, place: Callable[[int], str], max_series: int) -> Added:
        """Note an object, and put its file in place.

        It belongs to the job of its series that has not been begun, or else to a new one.

        Args:
            instance: what came.
            calling_ae: who sent it.
            place: puts the file where it stays, for good, and returns its name; it is told the number of the series.
                It is not called for an object that came before.
            max_series: bound of the size of the series [bytes].

        Raises:
            SeriesTooLargeError: the series would grow beyond it.
            OSError: the file cannot be put in place.
            sqlite3.Error: the disk is full.
        """
        with self._changing() as connection:
            known = connection.execute(
                "SELECT series.study_uid, series.series_uid, syntax, digest, job"
                " FROM instance JOIN series ON series.id = series WHERE uid = ?",
                (instance.uid,),
            ).fetchone()
            if known is not None:
                # The same object may be encoded in another way by each of two senders.
                is_same = known[:2] == (instance.study_uid, instance.series_uid)
                is_same = is_same and (known[2] != instance.syntax or known[3] == instance.digest)
                return Added(int(known[4]), is_new=False, is_conflict=not is_same)
            series = self._series(connection, instance)
            (n_bytes,) = connection.execute(
                "SELECT coalesce(sum(n_bytes), 0) FROM instance WHERE series = ?", (series,)
            ).fetchone()
            if n_bytes + instance.n_bytes > max_series:
                raise SeriesTooLargeError(f"{n_bytes + instance.n_bytes} bytes")
            job = self._job_to_fill(connection, series, calling_ae)
            connection.execute(
                "INSERT INTO instance (uid, series, job, file, syntax, digest, n_bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (instance.uid, series, job, place(series), instance.syntax, instance.digest, instance.n_bytes),
            )
            return Added(job, is_new=True)

    def _series(self, connection: sqlite3.Connection, instance: Instance) -> int:
        uids = (instance.study_uid, instance.series_uid)
        known = connection.execute("SELECT id FROM series WHERE study_uid = ? AND series_uid = ?", uids).fetchone()
        if known is not None:
            return int(known[0])
        added = connection.execute("INSERT INTO series (study_uid, series_uid) VALUES (?, ?)", uids)
        return int(added.lastrowid or 0)

    def _job_to_fill(self, connection: sqlite3.Connection, series: int, calling_ae: str) -> int:
        now = self._clock.now()
        last = connection.execute(
            "SELECT id FROM job WHERE series = ? AND state IN ('receiving', 'waiting')", (series,)
        ).fetchone()
        if last is not None:
            connection.execute("UPDATE job SET state = 'receiving', changed = ? WHERE id = ?", (now, last[0]))
            return int(last[0])
        added = connection.execute(
            "INSERT INTO job (series, state, calling_ae, received, changed) VALUES (?, 'receiving', ?, ?, ?)",
            (series, calling_ae, now, now),
        )
        return int(added.lastrowid or 0)

    def complete(self, job: int) -> None:
        """Say that a series has come whole: ``receiving`` to ``waiting``."""
        self._move(job, "waiting", before="receiving")

    # What is restored.

    def start_next(self) -> Job | None:
        """Begin the next job, ``waiting`` to ``restoring``: of those begun least often, the one that came first.

        Returns:
            The job; ``None`` where none waits.
        """
        with self._changing() as connection:
            found = connection.execute(
                "SELECT id FROM job WHERE state = 'waiting' ORDER BY n_starts, id LIMIT 1"
            ).fetchone()
            if found is None:
                return None
            connection.execute(
                "UPDATE job SET state = 'restoring', n_starts = n_starts + 1, changed = ? WHERE id = ?",
                (self._clock.now(), found[0]),
            )
            return self._job(found[0])

    def files(self, job: Job) -> list[str]:
        """Names of the files of a job, in the order in which they came."""
        with self.changed:
            rows = self._connection.execute(
                "SELECT file FROM instance WHERE series = ? AND job <= ? ORDER BY rowid", (job.series, job.id)
            )
            return [name for (name,) in rows]

    def put_back(self, job: int) -> None:
        """Let a job that was begun, or whose results are gone, wait again; that it was begun is forgotten."""
        with self._changing() as connection:
            connection.execute("DELETE FROM result WHERE job = ?", (job,))
            connection.execute(
                "UPDATE job SET state = 'waiting', n_starts = max(n_starts - 1, 0), changed = ? WHERE id = ?",
                (self._clock.now(), job),
            )

    def restored(self, job: int, files: Sequence[str], reason: str = "") -> None:
        """Note the results of a job: ``restoring`` to ``sending``.

        Args:
            job: its number.
            files: names of the objects to send, in their order.
            reason: what of the series was refused; empty where nothing was.
        """
        with self._changing() as connection:
            connection.executemany("INSERT INTO result (job, file) VALUES (?, ?)", [(job, file) for file in files])
            self._set_state(connection, job, "sending", reason)

    def refuse(self, job: int, reason: str) -> None:
        """Note that a series is none that is restored."""
        self._move(job, "refused", reason)

    def fail(self, job: int, reason: str) -> None:
        """Note that the program or the receiver failed with a series."""
        self._move(job, "failed", reason)

    # What is sent.

    def to_send(self) -> list[Job]:
        """Jobs whose results are to be sent, those that were rejected least often first."""
        return self._jobs("WHERE state = 'sending' ORDER BY n_rejections, id")

    def unsent(self, job: int) -> list[str]:
        """Names of the results that the receiver has not got, in their order."""
        with self.changed:
            rows = self._connection.execute(
                "SELECT file FROM result WHERE job = ? AND NOT is_sent ORDER BY rowid", (job,)
            )
            return [name for (name,) in rows]

    def sent(self, job: int, file: str) -> None:
        """Note that the receiver has got an object."""
        with self._changing() as connection:
            connection.execute("UPDATE result SET is_sent = 1 WHERE job = ? AND file = ?", (job, file))

    def rejected(self, job: int) -> int:
        """Note that the receiver has refused an object of a job.

        Returns:
            How often it has done so.
        """
        with self._changing() as connection:
            connection.execute("UPDATE job SET n_rejections = n_rejections + 1 WHERE id = ?", (job,))
            return int(connection.execute("SELECT n_rejections FROM job WHERE id = ?", (job,)).fetchone()[0])

    def finish(self, job: int) -> None:
        """Say that the receiver has got all: ``sending`` to ``done``."""
        self._move(job, "done", before="sending")

    # What is kept.

    def recover(self) -> list[Job]:
        """Let what was being restored when the process ended wait again, but for what was begun ``MAX_STARTS`` times.

        Returns:
            The jobs that failed for that reason.
        """
        with self._changing() as connection:
            connection.execute(
                "UPDATE job SET state = 'waiting' WHERE state = 'restoring' AND n_starts < ?", (MAX_STARTS,)
            )
        lost = self._jobs("WHERE state = 'restoring' ORDER BY id")
        for job in lost:
            self.fail(job.id, f"the program ended {job.n_starts} times while it restored this series")
        return lost

    def retry(self, job: int) -> Job:
        """Put a job that was refused or has failed back: to be sent, if it was restored whole, else to be restored.

        Args:
            job: its number.

        Raises:
            RefusedInputError: there is no such job, or it is in another state.
        """
        with self._changing() as connection:
            found = self._find("WHERE job.id = ?", (job,))
            if not found or found[0].state not in ("refused", "failed"):
                state = found[0].state if found else "not in the queue"
                raise RefusedInputError(f"job {job} is {state}: only refused and failed jobs are tried again")
            state = "sending" if found[0].n_results else "waiting"
            connection.execute(
                "UPDATE job SET state = ?, n_starts = 0, n_rejections = 0, reason = '', changed = ? WHERE id = ?",
                (state, self._clock.now(), job),
            )
            return found[0]

    def remove_before(self, limit: float) -> list[tuple[int, list[int]]]:
        """Forget series all of whose jobs are done, refused or failed since before a moment.

        Args:
            limit: the moment, in seconds since 1970.

        Returns:
            Number of each series, and the numbers of its jobs, whose files are to be removed.
        """
        removed = []
        with self._changing() as connection:
            marks = ", ".join("?" * len(FINAL))
            old = connection.execute(
                f"SELECT series FROM job GROUP BY series HAVING max(changed) <= ?"  # noqa: S608 - marks alone
                f" AND sum(state NOT IN ({marks})) = 0",
                (limit, *FINAL),
            ).fetchall()
            for (series,) in old:
                jobs = [int(job) for (job,) in connection.execute("SELECT id FROM job WHERE series = ?", (series,))]
                connection.executemany("DELETE FROM result WHERE job = ?", [(job,) for job in jobs])
                connection.execute("DELETE FROM instance WHERE series = ?", (series,))
                connection.execute("DELETE FROM job WHERE series = ?", (series,))
                connection.execute("DELETE FROM series WHERE id = ?", (series,))
                removed.append((int(series), jobs))
        return removed

    # What is seen.

    def jobs(self, *states: State) -> list[Job]:
        """All jobs, or those in some states, in the order in which they came."""
        marks = ", ".join("?" * len(states))
        return self._jobs(f"WHERE state IN ({marks}) ORDER BY id" if states else "ORDER BY id", states)

    def counts(self) -> dict[State, int]:
        """How many jobs there are in each state."""
        with self.changed:
            found = dict(self._connection.execute("SELECT state, count(*) FROM job GROUP BY state").fetchall())
        return {state: int(found.get(state, 0)) for state in STATES}

    def known_files(self) -> set[str]:
        """Names of all files of objects that came."""
        with self.changed:
            return {name for (name,) in self._connection.execute("SELECT file FROM instance")}

    def known_jobs(self) -> set[int]:
        """Numbers of all jobs."""
        with self.changed:
            return {int(job) for (job,) in self._connection.execute("SELECT id FROM job")}

    def _move(self, job: int, state: State, reason: str | None = None, *, before: State | None = None) -> None:
        with self._changing() as connection:
            if before is None or self._job(job).state == before:
                self._set_state(connection, job, state, reason)

    def _set_state(self, connection: sqlite3.Connection, job: int, state: State, reason: str | None) -> None:
        connection.execute(
            "UPDATE job SET state = ?, reason = coalesce(?, reason), changed = ? WHERE id = ?",
            (state, reason, self._clock.now(), job),
        )

    def _job(self, job: int) -> Job:
        return self._find("WHERE job.id = ?", (job,))[0]

    def _jobs(self, which: str, values: Sequence[object] = ()) -> list[Job]:
        with self.changed:
            return self._find(which, values)

    def _find(self, which: str, values: Sequence[object] = ()) -> list[Job]:
        return [Job(*row) for row in self._connection.execute(_JOB + which, tuple(values))]
