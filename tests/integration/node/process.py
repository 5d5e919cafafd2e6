"""Nodes in processes of their own, which can be killed at any moment.

A fork server has imported the bundle once, so that a node is up in a fraction of a second. The network is stood in for,
unless a test asks for the case runner with weights.
"""

import logging
import multiprocessing
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pydicom

from bundle.tat.atomic import folder_written_whole
from bundle.tat.cases.refusals import is_output_lost
from bundle.tat.dicom.uids import new_uid
from bundle.tat.node.clock import Clock
from bundle.tat.node.files import NodeFiles
from bundle.tat.node.job_queue import Job, JobQueue
from bundle.tat.node.restorer import DiskFullError, Restored
from bundle.tat.node.service import Node
from bundle.tat.node.settings import Destination, Limits, NodeSettings
from bundle.tat.refusal import RefusedInputError
from tests.dicom_sources import save
from tests.node.network import Archive

LONG = 900.0
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


class SlowCopies:
    """In the place of the network: copies each object, and takes its time; a volume is written whole or not at all."""

    def __init__(self, results: Path, seconds: float) -> None:
        self._results = results
        self._seconds = seconds

    def restore(self, job: int, files: Sequence[Path], remark: str = "") -> Restored:  # noqa: ARG002 - the interface
        folder = self._results / f"{job}-1"
        try:
            if not folder.is_dir():
                self._copy(files, folder)
        except RefusedInputError as error:
            if is_output_lost(error):
                raise DiskFullError from error
            raise
        return Restored(sorted(folder.glob("*.dcm")), 1, [])

    def _copy(self, files: Sequence[Path], folder: Path) -> None:
        with folder_written_whole(folder) as temporary:
            for path in files:
                time.sleep(self._seconds / len(files))
                image = pydicom.dcmread(path)
                image.ImageComments = str(image.SOPInstanceUID)
                image.SOPInstanceUID = new_uid(None)
                save(image, temporary / path.name)


def run_node(folder: str, port: int, archive_port: int, seconds: float, quiet: float, log: str, once: bool) -> None:
    """What the process does."""
    sys.stderr = Path(log).open("a")  # noqa: SIM115 - open as long as the process
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    settings = NodeSettings(
        Path(folder),
        Destination("127.0.0.1", archive_port, "ARCHIVE"),
        port=port,
        quiet=quiet,
        limits=Limits(min_free=0),
    )
    files = NodeFiles(settings.folder)
    with files.owned():
        Node(settings, files, SlowCopies(files.results, seconds)).run(once=once)


def start(folder: Path, port: int, archive_port: int, *, seconds=0.1, quiet=0.5, once=False) -> multiprocessing.Process:
    words = (str(folder), port, archive_port, seconds, quiet, str(folder.with_suffix(".log")), once)
    process = CONTEXT.Process(target=run_node, args=words, daemon=True)
    process.start()
    return process


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def poll(is_so: Callable[[], bool], what: str) -> None:
    """Wait for another process, which cannot notify us."""
    end = time.monotonic() + LONG
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def jobs(folder: Path) -> list[Job]:
    """The queue of a node that runs elsewhere."""
    queue = JobQueue(folder / "queue.sqlite", Clock(), read_only=True)
    try:
        return queue.jobs()
    finally:
        queue.close()


def states(folder: Path) -> set[str]:
    return {job.state for job in jobs(folder)}


def wait_until_done(folder: Path) -> None:
    poll(lambda: states(folder) == {"done"}, f"not all is done: {states(folder)}")


def end(node: multiprocessing.Process) -> None:
    node.terminate()
    node.join()


def source_counts(archive: Archive) -> Counter[str]:
    """How many derived objects the archive has of each source."""
    return Counter(str(image.ImageComments) for image in archive.images.values())
