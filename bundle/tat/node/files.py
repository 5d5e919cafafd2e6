"""The files of a node: named by the node itself, in private folders, on the disk when a call returns."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from bundle.tat.atomic import flush_folder, make_folder
from bundle.tat.refusal import RefusedInputError

# What the folder of a node holds.
QUEUE: Final = "queue.sqlite"
RECEIVED: Final = "received"

_PRIVATE: Final = 0o700


class NodeFiles:
    """The folder where a node keeps received objects and results.

    ``received/<series>/<random>.dcm`` is a received object, ``results/<job>-<volume>/`` a result of a job, and
    ``incoming/`` holds objects that are not yet recorded. Nothing that a peer sends becomes part of a name.

    Args:
        folder: of the node; it is made.

    Raises:
        RefusedInputError: it cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue = folder / QUEUE
        self.incoming = folder / "incoming"
        self.received = folder / RECEIVED
        self.results = folder / "results"
        try:
            for one in (folder, self.incoming, self.received, self.results):
                make_folder(one, _PRIVATE)
        except OSError as error:
            raise RefusedInputError(
                f"folder {folder} cannot be made: {error.strerror or error}; pass another --folder"
            ) from error

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Keep other nodes out of the folder, by a lock that the system removes when the process ends or is killed.

        Raises:
            RefusedInputError: another process has the lock.
        """
        with (self.folder / "owner.lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RefusedInputError(
                    f"another tat serve has the folder {self.folder}: end it, or pass another --folder"
                ) from None
            yield

    def free_bytes(self) -> int:
        """Free space on the disk [bytes]."""
        return shutil.disk_usage(self.folder).free

    @contextlib.contextmanager
    def written(self, parts: Iterable[bytes | memoryview]) -> Iterator[Path]:
        """Write a file to the disk, under a temporary name.

        Args:
            parts: its content.

        Yields:
            Its path; if the file has not been moved by the end, it is removed.

        Raises:
            OSError: it cannot be written.
        """
        path = self.incoming / f"{secrets.token_hex(16)}.dcm"
        try:
            with path.open("xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def keep(self, path: Path, series: int) -> str:
        """Move a written file to its permanent place.

        Args:
            path: of ``written``.
            series: number of its series.

        Returns:
            Its name from ``received`` down.

        Raises:
            OSError: it cannot be put there.
        """
        folder = self.received / str(series)
        make_folder(folder, _PRIVATE)
        path.rename(folder / path.name)
        flush_folder(folder)
        return f"{series}/{path.name}"

    def results_of(self, job: int) -> list[Path]:
        """Folders of the results of a job."""
        return sorted(self.results.glob(f"{job}-*"))

    def remove(self, series: int, jobs: Iterable[int]) -> None:
        """Remove the objects of a series and the results of its jobs."""
        shutil.rmtree(self.received / str(series), ignore_errors=True)
        self.remove_results(jobs)

    def remove_results(self, jobs: Iterable[int]) -> None:
        """Remove the results of jobs."""
        for folder in (one for job in jobs for one in self.results_of(job)):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, files: Collection[str], jobs: Collection[int]) -> int:
        """Remove files of an earlier process that are not recorded.

        Such an object was never acknowledged to its sender, or its series was removed from the queue.

        Args:
            files: names that are recorded, as ``keep`` returned them.
            jobs: numbers of the jobs that are recorded.

        Returns:
            How many files and folders were removed.
        """
        left = [path for path in self.received.glob("*/*") if f"{path.parent.name}/{path.name}" not in files]
        left += list(self.incoming.iterdir())
        for path in left:
            path.unlink()
        known = {str(job) for job in jobs}
        folders = [path for path in self.results.iterdir() if path.name.partition("-")[0] not in known]
        for folder in folders:
            shutil.rmtree(folder)
        for folder in self.received.iterdir():
            with contextlib.suppress(OSError):
                folder.rmdir()  # only what is empty
        return len(left) + len(folders)
