"""Which cases an earlier run has finished."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from monai.utils import CommonKeys, ensure_tuple

from bundle.tat.cases.record import (
    SOURCE_KEY,
    CaseRecord,
    Setting,
    check_replaceable,
    read_record,
)
from bundle.tat.data.datalist import resolve_path
from bundle.tat.dicom.own_series import RECORD_NAME
from bundle.tat.file_digest import file_sha256
from bundle.tat.quality.record import FILE_NAME as SHOWN_NAME
from bundle.tat.refusal import RefusedInputError
from bundle.tat.version import VERSION


class CaseStatus(NamedTuple):
    """What an earlier run left of a case.

    Args:
        record: its record, ``None`` without one.
        reason_to_redo: why a case with a record is restored again; empty when it is finished or has no record.
    """

    record: CaseRecord | None
    reason_to_redo: str

    @property
    def finished(self) -> CaseRecord | None:
        """The record of a case that need not be restored again; ``None`` for any other case."""
        return None if self.reason_to_redo else self.record


class CompletedCases:
    """The cases in an output folder that need not be restored again.

    A case is finished when its record names the same scan, weights, version and settings as this run.

    Args:
        output_dir: folder of the results; it need not exist.
        weights: file of the weights; ``None`` for a network without a file.
        settings: what else changes the result, by name, as it is written into the records.
        overwrite: restore every case again.
    """

    def __init__(
        self,
        output_dir: str,
        weights: str | None = None,
        settings: Mapping[str, Setting] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        self.output_dir = resolve_path(output_dir)
        self.weights = None if weights is None else Path(str(weights)).expanduser()
        self.settings = dict(settings or {})
        self.overwrite = overwrite

    def looks_finished(self, item: Mapping[str, Any]) -> bool:
        """Whether the record of a case agrees with this run; the case's own files are not looked at.

        Args:
            item: entry of a datalist, with its ``case``.
        """
        record = read_record(self._folder(item))
        return record is not None and not self._reason_to_redo(item, record)

    def status(self, item: Mapping[str, Any], source: str) -> CaseStatus:
        """What an earlier run left of a case.

        Args:
            item: entry of a datalist, with its ``case``.
            source: ``fingerprint`` of its files.

        Raises:
            RefusedInputError: the weights of a case that has a record cannot be read.
        """
        record = read_record(self._folder(item))
        if record is None:
            return CaseStatus(None, "")
        reason = self._reason_to_redo(item, record)
        if not reason and record.settings.get(SOURCE_KEY) != source:
            reason = "another scan had this name" if SOURCE_KEY in record.settings else "its record names no scan"
        return CaseStatus(record, reason)

    def _folder(self, item: Mapping[str, Any]) -> Path:
        return self.output_dir / str(item["case"])

    def _reason_to_redo(self, item: Mapping[str, Any], record: CaseRecord) -> str:
        """Why this run would give another result than a record's, empty if it would not."""
        before = {name: value for name, value in record.settings.items() if name != SOURCE_KEY}
        changed = sorted(
            name for name in self.settings.keys() | before.keys() if self.settings.get(name) != before.get(name)
        )
        reasons = {
            "overwrite": self.overwrite,
            "made with other weights": record.provenance.weights_sha256 != self.weights_sha256,
            f"made by version {record.provenance.version}": record.provenance.version != VERSION,
            f"made with another {', '.join(changed)}": bool(changed),
            "its files were gone": not _holds_result(self._folder(item)),
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def check_replaceable(self, item: Mapping[str, Any]) -> None:
        """Refuse a case, before it is restored, if its folder holds something else than an earlier result.

        Args:
            item: entry of a datalist, with its ``case``.

        Raises:
            RefusedInputError: the folder holds other files, such as the scan itself.
        """
        check_replaceable(self._folder(item), [Path(str(path)) for path in ensure_tuple(item[CommonKeys.IMAGE])])

    def check_writable(self) -> None:
        """Refuse an output folder that nothing can be written to, before anything is restored for it.

        Raises:
            RefusedInputError: it is a file, or lies where this user may not write.
        """
        folder = self.output_dir.absolute()
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise RefusedInputError(f"output_dir {self.output_dir} cannot be written to: pass another folder")

    @cached_property
    def weights_sha256(self) -> str | None:
        """SHA-256 of the weights file, which is read once."""
        return None if self.weights is None else file_sha256(self.weights)


def _holds_result(folder: Path) -> bool:
    """Whether there is more than a record in the folder of a case, which another process may be about to replace."""
    try:
        return any(file.name not in (RECORD_NAME, SHOWN_NAME) for file in folder.iterdir())
    except OSError:
        return False
