"""The contents of a run's output folder: cases with their records, and why other cases have no result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundle.tat.atomic import write_json
from bundle.tat.cases.record import CaseRecord, read_record
from bundle.tat.cases.table import CaseRow
from bundle.tat.dicom.own_series import RECORD_NAME
from bundle.tat.quality.record import ShownSlices, read_shown
from bundle.tat.quality.verdict import AS_TRAINED, DO_NOT_USE, LOOK_CLOSELY, NOT_CALIBRATED

# Beside the cases: why other cases have no folder.
RUN_FILE: Final = "report.json"
# The most doubtful cases come first in a report.
_ORDER: Final = (DO_NOT_USE, LOOK_CLOSELY, NOT_CALIBRATED, AS_TRAINED)


@dataclass(frozen=True)
class RestoredCase:
    """A case with a result.

    Args:
        record: its origin and its measures.
        folder: of its files.
    """

    record: CaseRecord
    folder: Path

    @property
    def verdict(self) -> str:
        """The verdict on the case; empty where nothing was measured."""
        return self.record.quality.judgement.verdict if self.record.quality else ""

    def shown(self) -> ShownSlices | None:
        """The slices to show, read from their file."""
        return read_shown(self.folder)


@dataclass(frozen=True)
class LeftOut:
    """Cases without a result, for one reason.

    Args:
        names: of the cases; none for series that are skipped, since they are no cases.
        status: ``failed`` or ``skipped``.
        reason: why, without anything that might identify a patient.
        n: number of cases or series.
    """

    names: tuple[str, ...]
    status: str
    reason: str
    n: int


@dataclass(frozen=True)
class RunContents:
    """The contents of a run's output folder.

    Args:
        cases: cases with a result, the most doubtful first.
        left_out: cases without a result, by reason.
    """

    cases: tuple[RestoredCase, ...]
    left_out: tuple[LeftOut, ...]


def write_run(output_dir: Path, rows: Sequence[CaseRow]) -> None:
    """Write down why cases of a run have no result.

    Args:
        output_dir: folder of the results.
        rows: all cases of the run.

    Raises:
        RefusedInputError: the folder cannot be written to.
    """
    left = [row for row in rows if row.status == "failed" or (row.status == "skipped" and not row.modality)]
    entries = [
        {
            # A series that is skipped is named after the folders that it lies in.
            "case": row.case if row.status == "failed" else "",
            "status": row.status,
            "reason": row.anonymous,
        }
        for row in left
    ]
    write_json(output_dir / RUN_FILE, {"left_out": entries})


def read_run(output_dir: Path) -> RunContents:
    """Read the contents of a run's output folder.

    Args:
        output_dir: folder of the results.

    Returns:
        The cases of all runs into the folder, and what the last run left out.
    """
    cases = [
        RestoredCase(record, file.parent)
        for file in sorted(output_dir.glob(f"*/{RECORD_NAME}"))
        if (record := read_record(file.parent)) is not None
    ]
    return RunContents(tuple(sorted(cases, key=_doubt)), _left_out(output_dir / RUN_FILE))


def _doubt(case: RestoredCase) -> tuple[int, float]:
    place = _ORDER.index(case.verdict) if case.verdict in _ORDER else len(_ORDER)
    harm = case.record.quality.judgement.harm if case.record.quality else None
    return place, -(harm or 0.0)


def _left_out(file: Path) -> tuple[LeftOut, ...]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["left_out"]
        found: dict[tuple[str, str], list[str]] = {}
        for entry in entries:
            found.setdefault((str(entry["status"]), str(entry["reason"])), []).append(str(entry["case"]))
    except (OSError, ValueError, TypeError, KeyError):
        return ()
    return tuple(
        LeftOut(tuple(filter(None, names)), status, reason, len(names)) for (status, reason), names in found.items()
    )
