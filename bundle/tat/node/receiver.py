"""Receiving objects from the network. Importing it needs the extra ``node``."""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dsutils import create_file_meta
from pynetdicom.pdu import A_ABORT_RQ, A_RELEASE_RQ
from pynetdicom.sop_class import Verification

from bundle.tat.dicom.enhanced.frames import CLASSIC_CLASSES
from bundle.tat.dicom.open import read_dicom_headers
from bundle.tat.dicom.pixels import GDCM_SYNTAXES, PLAIN_SYNTAXES
from bundle.tat.dicom.same_image import is_same_image
from bundle.tat.node.callers import Callers
from bundle.tat.node.clock import Clock
from bundle.tat.node.counters import Counters
from bundle.tat.node.errors import place_of
from bundle.tat.node.files import NodeFiles
from bundle.tat.node.job_queue import Added, Instance, Job, JobQueue, Missing, SeriesTooLargeError
from bundle.tat.node.listener import Listener
from bundle.tat.node.settings import NodeSettings
from bundle.tat.node.tls import server_context
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

# Statuses of C-STORE, PS3.4 B.2.3 and PS3.7 C.
SUCCESS: Final = 0x0000
DUPLICATE: Final = 0x0111
OUT_OF_RESOURCES: Final = 0xA700
NO_MATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000

# Classes of objects that may be restored: CT, MR and PET, their Enhanced forms and the Legacy Converted ones.
STORAGE_CLASSES: Final = tuple(sorted({*CLASSIC_CLASSES, *CLASSIC_CLASSES.values()}))
# The first of these that a caller also offers is used: those without decoding come first.
SYNTAXES: Final = (
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2"),
    *sorted(PLAIN_SYNTAXES - {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"}),
    *sorted(GDCM_SYNTAXES, reverse=True),
)
# A caller that sends nothing for this time is dropped [s].
_TIMEOUT: Final = 60.0
# Bytes of a comment in an answer, PS3.7 C.4.2.
_COMMENT_LENGTH: Final = 64
# A message is larger than its object by a byte of each part, and the command.
_MESSAGE_SHARE: Final = 1.01
_COMMAND_LENGTH: Final = 65536
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
# Series Instance UID, the last element that is read of an object that was refused, and where it is in a deflated one.
_SERIES_UID: Final = 0x0020000E
_HEADER_BYTES: Final = 1 << 20


class RefusedObjectError(Exception):
    """An object that is refused.

    Args:
        status: of the answer.
        comment: why, for the log of the caller; it quotes nothing of the object.
    """

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment


class Receiver:
    """Receives objects by C-STORE, and answers C-ECHO.

    An object is on the disk and in the queue before its sender gets the status of success.

    Args:
        settings: of the node.
        queue: of the node.
        files: of the node.
        counters: of the node.
        clock: gives the time.
        free_bytes: gives the free space on the disk; ``None`` asks the system.
    """

    def __init__(
        self,
        settings: NodeSettings,
        queue: JobQueue,
        files: NodeFiles,
        counters: Counters,
        clock: Clock,
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._files = files
        self._counters = counters
        self._clock = clock
        self._free_bytes = files.free_bytes if free_bytes is None else free_bytes
        # Held while an object is added to its job, and while jobs are checked for completeness.
        self._lock = Lock()
        self._callers = Callers()
        # By the numbers of series.
        self._last_came: dict[int, float] = {}
        # What was refused and is not in the queue yet, by its UID: the disk may be too full for it.
        self._missing: dict[str, Missing] = {}
        self._listener: Listener

    def start(self, poll_seconds: float = 0.5) -> None:
        """Listen.

        Args:
            poll_seconds: time between two checks of the listener whether it is to end [s].

        Raises:
            RefusedInputError: the node cannot listen on the address, or a file cannot be used for TLS.
        """
        ae = AE(self._settings.ae_title)
        ae.maximum_associations = self._settings.limits.max_associations
        ae.maximum_pdu_size = self._settings.limits.max_pdu
        ae.require_called_aet = True
        ae.require_calling_aet = list(self._settings.allow_ae)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _TIMEOUT
        ae.add_supported_context(Verification)
        for storage_class in STORAGE_CLASSES:
            ae.add_supported_context(storage_class, list(SYNTAXES))
        handlers = [
            (evt.EVT_CONN_OPEN, self._come),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_PDU_RECV, self._look_at_part),
            (evt.EVT_PDU_SENT, self._note_silence),
            (evt.EVT_DIMSE_RECV, self._begin_anew),
            (evt.EVT_REJECTED, self._note_rejection),
            (evt.EVT_CONN_CLOSE, self._leave),
        ]
        tls = None if self._settings.tls is None else server_context(self._settings.tls)
        where = (self._settings.bind, self._settings.port)
        try:
            self._listener = ae.make_server(where, evt_handlers=handlers, server_class=Listener)
        except OSError as error:
            raise RefusedInputError(
                f"cannot listen on {where[0]} port {where[1]}: {error.strerror or error}; pass another --bind or --port"
            ) from error
        self._listener.tls = tls
        self._listener.poll_seconds = poll_seconds
        self._listener.is_allowed = self._settings.is_allowed_address
        self._listener.on_refused = self._refuse_connection
        self._listener.serve_in_thread()

    def stop(self) -> None:
        """Accept nothing more, and end the open associations."""
        associations = self._listener.active_associations
        self._listener.shutdown()
        for association in associations:
            association.abort()

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        return int(self._listener.server_address[1])

    @property
    def n_callers(self) -> int:
        """How many callers are connected."""
        return self._callers.n_connected()

    def complete_series(self) -> list[Job]:
        """End the reception of series that have come to an end: they wait for restoration, or are incomplete.

        A series has come to an end when none of its callers is connected and no object of it has come for the time of
        the settings. Objects that an earlier process received count as received now.

        Returns:
            Their jobs, in their new states.

        Raises:
            sqlite3.Error: the disk is full. Then no series is changed.
        """
        self._note_what_ended()
        with self._lock:
            now, open_series = self._clock.elapsed(), self._callers.open_series()
            complete = []
            for job in self._queue.jobs("receiving"):
                came = self._last_came.setdefault(job.series, now)
                if job.series not in open_series and now - came >= self._settings.quiet:
                    complete.append(self._queue.complete(job.id))
                    self._last_came.pop(job.series)
        return complete

    def _note_what_ended(self) -> None:
        """Write to the queue which objects were refused, and then how associations have ended."""
        self._write_missing()
        self._callers.settle(self._queue.end_deliveries)

    def _store(self, event: Any) -> Dataset:
        """Answer C-STORE. Every error becomes an answer, never an exception that a library would print."""
        try:
            self._take(event)
        except RefusedObjectError as refused:
            status, comment = refused.status, refused.comment
        except (OSError, sqlite3.OperationalError) as error:
            is_full = isinstance(error, sqlite3.OperationalError) or error.errno in _FULL
            status, comment = OUT_OF_RESOURCES, "the disk is full" if is_full else "the disk cannot be written to"
        except Exception as error:
            logger.error("an object was refused because of an error of the program: %s", place_of(error))
            status, comment = CANNOT_UNDERSTAND, "an error of the program"
        else:
            status, comment = SUCCESS, ""
        if status != SUCCESS:
            self._counters.add("instances_refused_total", label=f'status="{status:04X}"')
            self._note_missing(event, status)
            logger.warning("an object from %s was refused with status %04X: %s", self._caller(event), status, comment)
        return _answer(status, comment)

    def _take(self, event: Any) -> None:
        """Put an object on the disk and into the queue."""
        limits = self._settings.limits
        encoded = event.request.DataSet.getbuffer()
        if len(encoded) > limits.max_instance:
            raise RefusedObjectError(OUT_OF_RESOURCES, f"the object is larger than {limits.max_instance} bytes")
        if self._free_bytes() - len(encoded) < limits.min_free:
            raise RefusedObjectError(OUT_OF_RESOURCES, "the disk is nearly full")
        start = _start_of_file(event)
        with self._files.written((start, encoded)) as path:
            instance = self._identify(event, path, encoded, n_bytes=len(start) + len(encoded))
            with self._lock:
                added = self._add(instance, path, event)
                if not added.is_conflict:
                    self._callers.note_sent(event.assoc, added.series)
                    self._last_came[added.series] = self._clock.elapsed()
            if added.is_conflict or (added.other_encoding and not self._is_same(path, added.other_encoding)):
                raise RefusedObjectError(DUPLICATE, "another object has this SOP Instance UID")
        if added.is_new:
            self._counters.add("instances_received_total")
            self._counters.add("received_bytes_total", instance.n_bytes)
        else:
            self._counters.add("instances_repeated_total")

    def _is_same(self, path: Path, kept: str) -> bool:
        """Whether an object is the one that was received before in another transfer syntax."""
        before = self._files.received / kept
        try:
            return is_same_image(before, path)
        except RefusedInputError:
            if before.is_file():
                return False  # an object that cannot be decoded is not known to be the same
            raise RefusedObjectError(OUT_OF_RESOURCES, "its series was removed just now: send it again") from None

    def _add(self, instance: Instance, path: Path, event: Any) -> Added:
        """Record an object and give its file its place; neither is left without the other."""
        placed: list[Path] = []

        def place(series: int) -> str:
            name = self._files.keep(path, series)
            placed.append(self._files.received / name)
            return name

        bound = self._settings.limits.max_series
        try:
            return self._queue.add(instance, self._caller(event), self._callers.of(event.assoc).name, place, bound)
        except SeriesTooLargeError:
            raise RefusedObjectError(OUT_OF_RESOURCES, f"the series is larger than {bound} bytes") from None
        except BaseException:
            for file in placed:
                file.unlink(missing_ok=True)
            raise

    def _identify(self, event: Any, path: Path, encoded: memoryview, n_bytes: int) -> Instance:
        """The identity of an object, by its data set, which must agree with the request."""
        try:
            headers = read_dicom_headers(path)
        except RefusedInputError:
            raise RefusedObjectError(CANNOT_UNDERSTAND, "the data set is damaged or not an image") from None
        if not headers or not headers[0].is_image:
            raise RefusedObjectError(CANNOT_UNDERSTAND, "the data set has no pixels")
        study_uid, series_uid, _ = headers[0].identity
        if not study_uid or not series_uid:
            raise RefusedObjectError(CANNOT_UNDERSTAND, "the data set has no Study or Series Instance UID")
        uid = str(event.request.AffectedSOPInstanceUID)
        if headers[0].instance_uid != uid:
            raise RefusedObjectError(NO_MATCH, "the SOP Instance UID is not that of the request")
        digest = hashlib.sha256(encoded).hexdigest()
        return Instance(uid, study_uid, series_uid, str(event.context.transfer_syntax), digest, n_bytes)

    def _note_missing(self, event: Any, status: int) -> None:
        """Remember an object that was refused, if its header names the series that lacks it now."""
        series = _series_of(event)
        # Another object under a known UID leaves the series with the first one.
        if series is None or status == DUPLICATE:
            return
        uid = str(event.request.AffectedSOPInstanceUID)
        with self._lock:
            self._missing[uid] = Missing(uid, *series, status)
        with suppress(sqlite3.Error):  # the disk is full: it is written later
            self._write_missing()

    def _write_missing(self) -> None:
        with self._lock:
            waiting = list(self._missing.values())
        for missing in waiting:
            self._queue.miss(missing)
            with self._lock:
                self._missing.pop(missing.uid, None)

    def _look_at_part(self, event: Any) -> None:
        """Check a protocol data unit: it may ask for the release, or make its object too large."""
        caller = self._callers.of(event.assoc)
        if isinstance(event.pdu, A_RELEASE_RQ):
            caller.is_released = True
            # On the disk before it is answered: a series whose sender got this answer is whole, even after a kill.
            with suppress(sqlite3.Error):
                self._note_what_ended()
            return
        # End an association whose object grows beyond the bound, before it fills the memory.
        for value in getattr(event.pdu, "presentation_data_value_items", ()):
            caller.n_pending += len(value.presentation_data_value)
        if caller.n_pending > self._settings.limits.max_instance * _MESSAGE_SHARE + _COMMAND_LENGTH:
            caller.n_pending = -math.inf  # the rest of the message is not read
            bound = self._settings.limits.max_instance
            logger.warning(
                "an association of %s was ended: its object is larger than %d bytes", self._caller(event), bound
            )
            event.assoc.acse.send_abort(0x00)

    def _begin_anew(self, event: Any) -> None:
        """A message is whole; the size of the next one is counted from 0."""
        self._callers.of(event.assoc).n_pending = 0

    def _come(self, event: Any) -> None:
        self._callers.of(event.assoc)

    def _note_silence(self, event: Any) -> None:
        """Note whether an association was ended because its caller was silent between two messages.

        The system checks whether a silent caller is still connected, so a broken line does not count as silence.
        """
        caller = self._callers.of(event.assoc)
        if isinstance(event.pdu, A_ABORT_RQ):
            caller.is_silent = event.assoc.dul.idle_timer_expired() and not caller.n_pending

    def _leave(self, event: Any) -> None:
        """A caller has gone, by release, by abort or by a broken line."""
        self._callers.of(event.assoc).has_left = True
        self._queue.wake()

    def _note_rejection(self, event: Any) -> None:
        logger.warning("an association of %s was not accepted", self._caller(event))
        self._counters.add("associations_refused_total")

    def _refuse_connection(self) -> None:
        logger.warning("a connection was not accepted")
        self._counters.add("associations_refused_total")

    def _caller(self, event: Any) -> str:
        """The AE title of a caller, in characters that can be printed in a log line."""
        title = str(event.assoc.requestor.ae_title).strip()
        return "".join(sign if sign.isprintable() else "?" for sign in title) or "?"


def _series_of(event: Any) -> tuple[str, str] | None:
    """Study and Series Instance UID of an object that was refused, perhaps before it was on the disk."""
    encoded, syntax = event.request.DataSet, UID(event.context.transfer_syntax)
    try:
        if syntax.is_deflated:
            encoded = BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(encoded.getbuffer(), _HEADER_BYTES))
        encoded.seek(0)
        header = read_dataset(
            encoded, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=lambda tag, *_: tag > _SERIES_UID
        )
        uids = str(header.get("StudyInstanceUID") or ""), str(header.get("SeriesInstanceUID") or "")
    except Exception:  # pydicom raises many kinds on damaged data sets
        return None
    return uids if all(uids) else None


def _start_of_file(event: Any) -> bytes:
    """The part of a file before the data set, PS3.10 7.1."""
    request = event.request
    meta = create_file_meta(
        sop_class_uid=request.AffectedSOPClassUID,
        sop_instance_uid=request.AffectedSOPInstanceUID,
        transfer_syntax=event.context.transfer_syntax,
    )
    start = DicomBytesIO()
    start.is_little_endian, start.is_implicit_VR = True, False
    start.write(bytes(128) + b"DICM")
    write_file_meta_info(start, meta)
    return start.getvalue()


def _answer(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    if comment:
        answer.ErrorComment = comment[:_COMMENT_LENGTH]
    return answer
