"""Sending derived objects to an archive. Importing it needs the extra ``node``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from bundle.tat.node.settings import Limits, NodeSettings
from bundle.tat.node.tls import client_context

# Failures that pass: the receiver has no room now, PS3.4 B.2.3.
_OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)
# The object was stored, perhaps with changes, PS3.4 B.2.3.
_STORED: Final = (0x0000, 0xB000, 0xB006, 0xB007)
_TIMEOUT: Final = 60.0


class ReceiverSilentError(Exception):
    """The receiver cannot be reached, does not answer, or has no room: it will be tried again."""


class RejectedError(Exception):
    """The receiver answers, and refuses an object; the message says why."""


class Sender:
    """Sends objects by C-STORE.

    Args:
        settings: of the node.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self._to = settings.send_to
        self._ae_title = settings.ae_title
        self._limits: Limits = settings.limits
        self._tls = None if settings.tls is None else client_context(settings.tls)

    def send(self, files: Iterable[Path], on_sent: Callable[[Path], None], *, is_stopped: Callable[[], bool]) -> None:
        """Send objects over one association.

        Args:
            files: complete files, in their order.
            on_sent: is called for each object when the receiver has it.
            is_stopped: asked before each object, whether to stop.

        Raises:
            ReceiverSilentError: see there.
            RejectedError: see there.
            FileNotFoundError: a file is gone.
        """
        paths = list(files)
        association = self._associate({_sop_class(path) for path in paths})
        try:
            accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
            for path in paths:
                if is_stopped():
                    return
                image = _read(path)
                if str(image.SOPClassUID) not in accepted:
                    raise RejectedError(f"the receiver does not accept {_name(image.SOPClassUID)}")
                _check(self._store(association, image))
                on_sent(path)
        finally:
            if association.is_established:
                association.release()

    def _associate(self, sop_classes: set[str]) -> Any:
        """An association for objects of some classes."""
        ae = AE(self._ae_title)
        ae.maximum_pdu_size = self._limits.max_pdu
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = _TIMEOUT
        for sop_class in sorted(sop_classes):
            # One context each, so that a receiver that takes both is asked for the syntax of the files.
            ae.add_requested_context(sop_class, [ExplicitVRLittleEndian])
            ae.add_requested_context(sop_class, [ImplicitVRLittleEndian])
        tls = None if self._tls is None else (self._tls, self._to.host)
        association = ae.associate(
            self._to.host, self._to.port, ae_title=self._to.ae_title, max_pdu=self._limits.max_pdu, tls_args=tls
        )
        if association.is_established:
            return association
        if association.rejected_contexts and not association.accepted_contexts:
            raise RejectedError(f"the receiver accepts none of {', '.join(sorted(map(_name, sop_classes)))}")
        if association.is_rejected:
            raise ReceiverSilentError(
                f"the receiver does not accept the association: add the AE title {self._ae_title} and this host there"
            )
        raise ReceiverSilentError("the receiver does not answer")

    def _store(self, association: Any, image: Any) -> int | None:
        """Send an object; returns the status of the answer, ``None`` without one."""
        try:
            answer = association.send_c_store(image)
        except RuntimeError:  # the association has ended
            return None
        status = answer.get("Status")
        return None if status is None else int(status)


def _check(status: int | None) -> None:
    """Raise the error that an answer stands for, if it is no success."""
    if status is None:
        raise ReceiverSilentError("the receiver ended the association, or does not answer")
    if status in _OUT_OF_RESOURCES:
        raise ReceiverSilentError(f"the receiver is out of resources (status {status:04X})")
    if status not in _STORED:
        raise RejectedError(f"the receiver refused an object with status {status:04X}")


def _name(sop_class: str) -> str:
    return str(UID(sop_class).name)


def _sop_class(path: Path) -> str:
    """The class of a file, from its meta information."""
    return str(_read(path, only=["SOPClassUID"]).SOPClassUID)


def _read(path: Path, only: list[str] | None = None) -> Dataset:
    """A file that the node has written, or some of its elements; a damaged file counts as missing."""
    try:
        return dcmread(path, stop_before_pixels=only is not None, specific_tags=only)
    except InvalidDicomError as error:
        raise FileNotFoundError(f"{path} is damaged") from error
