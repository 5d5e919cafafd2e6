"""A network on loopback for tests: callers that send, an archive that counts, a clock that stands still."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from bundle.tat.node.clock import Clock
from bundle.tat.node.job_queue import JobQueue
from bundle.tat.node.listener import Listener
from bundle.tat.node.receiver import STORAGE_CLASSES
from bundle.tat.node.restorer import Restored
from bundle.tat.node.settings import Destination, Limits, NodeSettings
from tests.dicom_sources import save, stored_values, write_source

LONG = 60.0
SMALL = Limits(min_free=0)


class StillClock(Clock):
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time

    def elapsed(self) -> float:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += seconds


class Archive:
    """Takes what is sent to it, and counts how often each object came."""

    def __init__(self, classes: Sequence[str] = STORAGE_CLASSES, ae_title: str = "ARCHIVE", tls=None) -> None:
        self.came: Counter[str] = Counter()
        self.images: dict[str, pydicom.Dataset] = {}
        self.syntaxes: set[str] = set()
        self.answers: list[int] = []
        self._lock = Lock()
        self._ae = AE(ae_title)
        self._ae.require_called_aet = True
        self._ae.add_supported_context(Verification)
        for one in classes:
            self._ae.add_supported_context(one)
        self._tls = tls
        self.port = 0
        self.start()

    def start(self) -> None:
        where = ("127.0.0.1", self.port)
        handlers = [(evt.EVT_C_STORE, self._store)]
        self._server = self._ae.make_server(where, evt_handlers=handlers, server_class=Listener)
        self._server.tls = self._tls
        self._server.is_allowed = lambda _: True
        self._server.on_refused = lambda: None
        self._server.poll_seconds = 0.02
        self._server.serve_in_thread()
        self.port = self._server.server_address[1]

    def stop(self) -> None:
        self._server.shutdown()

    @property
    def place(self) -> Destination:
        return Destination("127.0.0.1", self.port, "ARCHIVE")

    def _store(self, event) -> int:
        with self._lock:
            if self.answers:
                return self.answers.pop(0)
            image = event.dataset
            self.came[str(image.SOPInstanceUID)] += 1
            self.images[str(image.SOPInstanceUID)] = image
            self.syntaxes.add(str(event.context.transfer_syntax))
        return 0x0000


class Copies:
    """In the place of the network: derives a copy of each object, at once."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.restored: list[tuple[int, int]] = []
        self.errors: list[Exception] = []
        self.reason = ""
        self.remarks: list[str] = []

    def restore(self, job: int, files: Sequence[Path], remark: str = "") -> Restored:
        self.restored.append((job, len(files)))
        self.remarks.append(remark)
        if self.errors:
            raise self.errors.pop(0)
        if self.reason:
            return Restored([], 0, [self.reason])
        folder = self.results / f"{job}-1"
        folder.mkdir(exist_ok=True)
        for path in files:
            image = pydicom.dcmread(path)
            image.ImageComments = str(image.SOPInstanceUID)
            image.SOPInstanceUID = generate_uid()
            save(image, folder / path.name)
        return Restored(sorted(folder.glob("*.dcm")), 1, [])


def settings_of(folder: Path, archive: Archive, **more) -> NodeSettings:
    options = {"port": 0, "limits": SMALL, "quiet": 10.0, **more}
    return NodeSettings(folder=folder, send_to=archive.place, **options)


def series(
    folder: Path,
    number: int = 1,
    modality: str = "CT",
    n_slices: int = 3,
    size: int = 12,
    syntax: str = ExplicitVRLittleEndian,
) -> list[Path]:
    """A series of its own."""

    def change(image: pydicom.Dataset, index: int) -> None:
        image.SeriesInstanceUID = f"1.2.3.{number}"
        image.StudyInstanceUID = "1.2.3"
        image.SOPInstanceUID = f"1.2.3.{number}.{index + 1}"
        image.SeriesNumber = number

    return write_source(folder, stored_values(modality, n_slices, size, size), modality, syntax=syntax, change=change)


def associate(port: int, *, caller: str = "CT1", called: str = "TAT", classes: Iterable[str] = STORAGE_CLASSES, **tls):
    """An association with a node; whether it was accepted is for the test to see."""
    ae = AE(caller)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = LONG
    ae.add_requested_context(Verification)
    for one in classes:
        ae.add_requested_context(one)
    return ae.associate("127.0.0.1", port, ae_title=called, **tls)


def send(port: int, paths: Iterable[Path], **options) -> list[int]:
    """Send files in one association, and return the statuses of the answers."""
    association = associate(port, **options)
    assert association.is_established
    try:
        return [association.send_c_store(pydicom.dcmread(path)).Status for path in paths]
    finally:
        association.release()


def wait_until(queue: JobQueue, is_so: Callable[[], bool]) -> None:
    """Wait for a state of the queue."""
    with queue.changed:
        assert queue.changed.wait_for(is_so, LONG), queue.jobs()


def states(queue: JobQueue) -> list[str]:
    return [job.state for job in queue.jobs()]
