"""The queue on disk: received objects and the state of each series. It survives ``kill -9`` and loss of power."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Final, Literal, NamedTuple, get_args

from bundle.tat.atomic import flush_folder
from bundle.tat.node.clock import Clock
from bundle.tat.refusal import RefusedInputError

State = Literal["receiving", "waiting", "restoring", "sending", "done", "incomplete", "refused", "failed"]
# How an association ended: in order, broken off, or by a caller that stayed connected and sent nothing more.
End = Literal["released", "interrupted", "silent"]

STATES: Final[tuple[State, ...]] = get_args(State)
# States that a job stays in until an operator acts, or for an incomplete series its sender.
FINAL: Final[tuple[State, ...]] = ("done", "incomplete", "refused", "failed")
# A series is not tried again after the process has died this many times while restoring it: it may be the cause.
MAX_STARTS: Final = 5

_VERSION: Final = 2
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
    reason TEXT NOT NULL DEFAULT '',
    doubt TEXT NOT NULL DEFAULT ''
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
-- What one association brings of one series. It is open until it has ended, and forgotten when it ended in order.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    series INTEGER NOT NULL REFERENCES series,
    calling_ae TEXT NOT NULL,
    association TEXT NOT NULL,
    brought_new INTEGER NOT NULL DEFAULT 0,
    ended TEXT,
    ended_after INTEGER, -- the last delivery that had begun by then
    UNIQUE (series, association)
);
CREATE INDEX delivery_of_association ON delivery (association);
-- Objects that were refused, until they come again and are taken.
CREATE TABLE missing (
    uid TEXT PRIMARY KEY,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    status INTEGER NOT NULL,
    noted REAL NOT NULL
);
CREATE INDEX missing_of_series ON missing (study_uid, series_uid);
CREATE TABLE result (
    job INTEGER NOT NULL REFERENCES job,
    file TEXT NOT NULL,
    is_sent INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, file)
);
"""
_JOB: Final = """
SELECT job.id, job.series, job.state, job.calling_ae, job.received, job.changed, job.n_starts, job.n_rejections,
       job.reason, job.doubt,
       (SELECT count(*) FROM instance WHERE instance.series = job.series AND instance.job <= job.id),
       (SELECT coalesce(sum(n_bytes), 0) FROM instance WHERE instance.series = job.series AND instance.job <= job.id),
       (SELECT count(*) FROM result WHERE result.job = job.id),
       (SELECT count(*) FROM result WHERE result.job = job.id AND is_sent)
FROM job
"""


class Job(NamedTuple):
    """A series in the queue. The objects of a job are all that came of its series until the job was closed.

    Args:
        id: number of the job, which is its name in logs.
        series: number of its series.
        state: how far it is.
        calling_ae: AE title of the caller that sent its first object.
        received: when its first object came, in seconds since 1970.
        changed: when its state changed last, or an object came.
        n_starts: how often its restoration was begun.
        n_rejections: how often the receiver accepted the connection and refused an object.
        reason: why it is incomplete, was refused or failed, or which part of it was refused; empty otherwise.
        doubt: why its series may be incomplete, though it is restored; empty for no doubt.
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
    doubt: str
    n_instances: int
    n_bytes: int
    n_results: int
    n_sent: int

    @property
    def remark(self) -> str:
        """The remark that is written into its results; empty for none."""
        return f"the series may be incomplete: {self.doubt}" if self.doubt else ""


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
    """How an object that came was recorded.

    Args:
        series: number of its series.
        is_new: whether it had not come before.
        is_conflict: whether another object came before under its UID; that one stays.
        other_encoding: file of the object that came before under its UID in another transfer syntax, for a comparison;
            empty where there is none.
    """

    series: int
    is_new: bool
    is_conflict: bool = False
    other_encoding: str = ""


class Missing(NamedTuple):
    """An object that was refused.

    Args:
        uid: SOP Instance UID (0008,0018).
        study_uid: Study Instance UID (0020,000D).
        series_uid: Series Instance UID (0020,000E).
        status: of the answer.
    """

    uid: str
    study_uid: str
    series_uid: str
    status: int


class SeriesTooLargeError(Exception):
    """A series would grow beyond its bound."""


class JobQueue:
    """The jobs of one node, in one file of SQLite. Threads may share it; another process may only read it.

    Each change is on the disk when the call returns. ``changed`` is notified of each.

    Args:
        path: of the database; it is made where there is none.
        clock: gives the time.
        read_only: only read the queue, which may be that of another process.

    Raises:
        RefusedInputError: there is no queue to read, it cannot be opened, or another version wrote it.
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
                flush_folder(path.parent)
            self._connection = sqlite3.connect(
                target, uri=True, isolation_level=None, check_same_thread=False, timeout=60
            )
            if not read_only:
                self._set_up()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise RefusedInputError(
                f"the queue {path} cannot be opened: {error}; check its permissions and its disk, or pass another "
                "--folder"
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
        """A transaction, whole or not at all; waiting threads are notified when it is on the disk."""
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
        """Wake the threads that wait."""
        with self.changed:
            self.changed.notify_all()

    # What comes in.

    def add(
        self, instance: Instance, calling_ae: str, association: str, place: Callable[[int], str], max_series: int
    ) -> Added:
        """Note an object, and put its file in place.

        It belongs to the job of its series that has not been begun, or else to a new one. An object that came before
        reopens an incomplete series: its sender has come back.

        Args:
            instance: the object.
            calling_ae: AE title of its sender.
            association: name of the association that brought it; no other association has it, now or later.
            place: gets the number of the series, moves the file to its permanent place and returns its name. It is not
                called for an object that came before.
            max_series: bound of the size of the series [bytes].

        Raises:
            SeriesTooLargeError: the series would grow beyond this bound.
            OSError: the file cannot be put in place.
            sqlite3.Error: the disk is full.
        """
        with self._changing() as connection:
            known = connection.execute(
                "SELECT series.study_uid, series.series_uid, syntax, digest, series.id, file"
                " FROM instance JOIN series ON series.id = series WHERE uid = ?",
                (instance.uid,),
            ).fetchone()
            if known is not None:
                *uids, syntax, digest, series, file = known
                is_same_syntax = syntax == instance.syntax
                is_other = uids != [instance.study_uid, instance.series_uid]
                if is_other or (is_same_syntax and digest != instance.digest):
                    return Added(series, is_new=False, is_conflict=True)
                self._deliver(connection, series, calling_ae, association)
                self._reopen(connection, series, "incomplete")
                return Added(series, is_new=False, other_encoding="" if is_same_syntax else file)
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
            connection.execute("DELETE FROM missing WHERE uid = ?", (instance.uid,))
            self._deliver(connection, series, calling_ae, association, brought_new=True)
            return Added(series, is_new=True)

    def miss(self, missing: Missing) -> None:
        """Note an object that was refused: its series is incomplete until the object comes again and is accepted.

        Args:
            missing: the object.
        """
        with self._changing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO missing (uid, study_uid, series_uid, status, noted) SELECT ?, ?, ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM instance WHERE uid = ?)",
                (*missing, self._clock.now(), missing.uid),
            )
            known = connection.execute(
                "SELECT series.id FROM series JOIN missing USING (study_uid, series_uid) WHERE uid = ?", (missing.uid,)
            ).fetchone()
            if known is not None:
                self._reopen(connection, known[0], "waiting")

    def end_deliveries(self, association: str, how: End) -> None:
        """Note that an association has ended.

        A released association has brought its series whole. An earlier association of the same caller that broke off
        does not count any more, if this one began after it and brought the same series.

        Args:
            association: its name, see ``add``.
            how: how it ended.
        """
        with self._changing() as connection:
            if how == "released":
                connection.execute(
                    "DELETE FROM delivery WHERE ended_after < (SELECT later.id FROM delivery AS later"
                    " WHERE later.association = ? AND later.series = delivery.series"
                    " AND later.calling_ae = delivery.calling_ae)",
                    (association,),
                )
                connection.execute("DELETE FROM delivery WHERE association = ?", (association,))
            else:
                self._break_off(connection, how, "association = ?", association)

    def _break_off(self, connection: sqlite3.Connection, how: End, which: str, *values: str) -> None:
        """Mark open deliveries as broken off or silent; one that has brought nothing new is forgotten."""
        which += " AND ended IS NULL"
        connection.execute(f"DELETE FROM delivery WHERE NOT brought_new AND {which}", values)  # noqa: S608 - ours
        connection.execute(
            "UPDATE delivery SET ended = ?,"  # noqa: S608 - ours
            f" ended_after = (SELECT seq FROM sqlite_sequence WHERE name = 'delivery') WHERE {which}",
            (how, *values),
        )

    def _deliver(
        self,
        connection: sqlite3.Connection,
        series: int,
        calling_ae: str,
        association: str,
        *,
        brought_new: bool = False,
    ) -> None:
        connection.execute(
            "INSERT INTO delivery (series, calling_ae, association) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (series, calling_ae, association),
        )
        if brought_new:
            connection.execute(
                "UPDATE delivery SET brought_new = 1 WHERE series = ? AND association = ?", (series, association)
            )

    def _reopen(self, connection: sqlite3.Connection, series: int, state: State) -> None:
        """Put the jobs of a series that are in one state back to ``receiving``."""
        connection.execute(
            "UPDATE job SET state = 'receiving', reason = '', doubt = '', changed = ? WHERE series = ? AND state = ?",
            (self._clock.now(), series, state),
        )

    def _series(self, connection: sqlite3.Connection, instance: Instance) -> int:
        uids = (instance.study_uid, instance.series_uid)
        known = connection.execute("SELECT id FROM series WHERE study_uid = ? AND series_uid = ?", uids).fetchone()
        if known is not None:
            return int(known[0])
        added = connection.execute("INSERT INTO series (study_uid, series_uid) VALUES (?, ?)", uids)
        return int(added.lastrowid or 0)

    def _job_to_fill(self, connection: sqlite3.Connection, series: int, calling_ae: str) -> int:
        now = self._clock.now()
        self._reopen(connection, series, "waiting")
        self._reopen(connection, series, "incomplete")
        last = connection.execute("SELECT id FROM job WHERE series = ? AND state = 'receiving'", (series,)).fetchone()
        if last is not None:
            connection.execute("UPDATE job SET changed = ? WHERE id = ?", (now, last[0]))
            return int(last[0])
        added = connection.execute(
            "INSERT INTO job (series, state, calling_ae, received, changed) VALUES (?, 'receiving', ?, ?, ?)",
            (series, calling_ae, now, now),
        )
        return int(added.lastrowid or 0)

    def complete(self, job: int) -> Job:
        """End the reception of a series: ``receiving`` to ``waiting``, or to ``incomplete``.

        It is incomplete if the connection of a sender broke off or objects of it were refused, and the objects have not
        come since.

        Args:
            job: its number.

        Returns:
            The job, in its new state.
        """
        with self._changing() as connection:
            found = self._job(job)
            if found.state != "receiving":
                return found
            lacks = [
                *(f"the connection of {caller} broke off" for caller in self._ended(connection, found, "interrupted")),
                *self._refusals(connection, found),
            ]
            silent = [f"{caller} stopped sending" for caller in self._ended(connection, found, "silent")]
            state: State = "incomplete" if lacks else "waiting"
            self._set_state(connection, job, state, "; ".join(lacks))
            connection.execute("UPDATE job SET doubt = ? WHERE id = ?", ("; ".join([] if lacks else silent), job))
            return self._job(job)

    def _ended(self, connection: sqlite3.Connection, job: Job, how: End) -> list[str]:
        """Callers whose deliveries of a series ended in a way."""
        rows = connection.execute(
            "SELECT calling_ae FROM delivery WHERE series = ? AND ended = ? GROUP BY calling_ae ORDER BY min(id)",
            (job.series, how),
        )
        return [caller for (caller,) in rows]

    def _refusals(self, connection: sqlite3.Connection, job: Job) -> list[str]:
        """The refused objects of a series, a phrase for each status."""
        rows = connection.execute(
            "SELECT count(*), status FROM missing JOIN series USING (study_uid, series_uid) WHERE series.id = ?"
            " GROUP BY status ORDER BY status",
            (job.series,),
        )
        return [f"{n} {'object was' if n == 1 else 'objects were'} refused (status {code:04X})" for n, code in rows]

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
        """Put a job that was begun, or whose results are gone, back to ``waiting``; this start is not counted."""
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
            reason: which part of the series was refused, and why; empty for none.
        """
        with self._changing() as connection:
            connection.executemany("INSERT INTO result (job, file) VALUES (?, ?)", [(job, file) for file in files])
            self._set_state(connection, job, "sending", reason)

    def refuse(self, job: int, reason: str) -> None:
        """Note that a series cannot be restored."""
        self._move(job, "refused", reason)

    def fail(self, job: int, reason: str) -> None:
        """Note that the program or the receiver failed with a series."""
        self._move(job, "failed", reason)

    # What is sent.

    def to_send(self) -> list[Job]:
        """Jobs whose results are to be sent, those that were rejected least often first."""
        return self._jobs("WHERE state = 'sending' ORDER BY n_rejections, id")

    def unsent(self, job: int) -> list[str]:
        """Names of the results that the receiver does not have, in their order."""
        with self.changed:
            rows = self._connection.execute(
                "SELECT file FROM result WHERE job = ? AND NOT is_sent ORDER BY rowid", (job,)
            )
            return [name for (name,) in rows]

    def sent(self, job: int, file: str) -> None:
        """Note that the receiver has an object."""
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
        """Note that the receiver has all results: ``sending`` to ``done``."""
        self._move(job, "done", before="sending")

    # What is kept.

    def recover(self) -> list[Job]:
        """Put jobs that were in restoration when the process ended back to ``waiting``.

        A job that was begun ``MAX_STARTS`` times has failed. Associations of that process count as interrupted.

        Returns:
            The jobs that have failed.
        """
        with self._changing() as connection:
            self._break_off(connection, "interrupted", "TRUE")
            connection.execute(
                "UPDATE job SET state = 'waiting' WHERE state = 'restoring' AND n_starts < ?", (MAX_STARTS,)
            )
        lost = self._jobs("WHERE state = 'restoring' ORDER BY id")
        for job in lost:
            self.fail(job.id, f"the program ended {job.n_starts} times while it restored this series")
        return lost

    def retry(self, job: int) -> Job:
        """Put an incomplete, refused or failed job back into the queue.

        It is sent if it was restored whole, and restored otherwise. What an incomplete series lacks becomes its doubt.

        Args:
            job: its number.

        Raises:
            RefusedInputError: there is no such job, or it is in another state.
        """
        with self._changing() as connection:
            found = self._find("WHERE job.id = ?", (job,))
            if not found or found[0].state not in ("incomplete", "refused", "failed"):
                state = found[0].state if found else "not in the queue"
                raise RefusedInputError(
                    f"job {job} is {state}: pass the number of an incomplete, refused or failed job, see --status"
                )
            before = found[0]
            connection.execute(
                "UPDATE job SET state = ?, n_starts = 0, n_rejections = 0, reason = '', doubt = ?, changed = ?"
                " WHERE id = ?",
                (
                    "sending" if before.n_results else "waiting",
                    before.reason if before.state == "incomplete" else before.doubt,
                    self._clock.now(),
                    job,
                ),
            )
            return before

    def remove_before(self, limit: float, unfinished_limit: float) -> list[tuple[int, list[int]]]:
        """Forget old series whose jobs are all in a final state.

        Args:
            limit: time in seconds since 1970; series whose last job was done before it are forgotten.
            unfinished_limit: the same for series that are incomplete, refused or failed.

        Returns:
            Number of each series, and the numbers of its jobs, whose files are to be removed.
        """
        removed = []
        with self._changing() as connection:
            marks = ", ".join("?" * len(FINAL))
            old = connection.execute(
                f"SELECT series FROM job GROUP BY series HAVING sum(state NOT IN ({marks})) = 0"  # noqa: S608 - marks
                " AND max(changed) <= CASE WHEN sum(state <> 'done') THEN ? ELSE ? END",
                (*FINAL, unfinished_limit, limit),
            ).fetchall()
            for (series,) in old:
                jobs = [int(job) for (job,) in connection.execute("SELECT id FROM job WHERE series = ?", (series,))]
                connection.executemany("DELETE FROM result WHERE job = ?", [(job,) for job in jobs])
                for table in ("delivery", "instance", "job"):
                    connection.execute(f"DELETE FROM {table} WHERE series = ?", (series,))  # noqa: S608 - ours
                connection.execute("DELETE FROM series WHERE id = ?", (series,))
                removed.append((int(series), jobs))
            connection.execute(
                "DELETE FROM missing WHERE noted <= ? AND NOT EXISTS (SELECT 1 FROM series"
                " WHERE series.study_uid = missing.study_uid AND series.series_uid = missing.series_uid)",
                (unfinished_limit,),
            )
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
