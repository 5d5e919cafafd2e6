"""The table of a run, for people to read: the status of each case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bundle.tat.cases.anonymous import without_identity
from bundle.tat.refusal import RefusedInputError

Status = Literal["restored", "skipped", "failed"]

_COLUMNS: Final = ("case", "modality", "seconds", "status", "verdict", "message")
# A message names this many cases and counts the rest.
_N_NAMES_SHOWN: Final = 3


@dataclass(frozen=True)
class CaseRow:
    """One case of a run.

    Args:
        case: its name.
        modality: ``CT``, ``MRI`` or ``PET``; empty when it is not known.
        status: what was done. ``failed`` means that it should have been restored and was not.
        message: why, in a line; empty for a case that was restored for the first time.
        seconds: time that it took [s].
        verdict: whether the result may be used; empty where nothing was restored or measured.
        anonymous_message: the message for a report that is passed on; empty for ``without_identity(message)``.
    """

    case: str
    modality: str
    status: Status
    message: str = ""
    seconds: float = 0.0
    verdict: str = ""
    anonymous_message: str = ""

    @property
    def anonymous(self) -> str:
        """The message without what might name a patient."""
        return self.anonymous_message or without_identity(self.message)


def format_table(rows: Sequence[CaseRow]) -> str:
    """Lay out the cases of a run as a table.

    Args:
        rows: cases, in the order that they are shown in.

    Returns:
        Lines of text: a heading, a line for each case, and how many there are of each status.
    """
    cells: list[list[str]] = [
        list(_COLUMNS),
        *([row.case, row.modality, f"{row.seconds:.1f}", row.status, row.verdict, row.message] for row in rows),
    ]
    if not any(row.verdict for row in rows):
        cells = [[*cell[:4], cell[5]] for cell in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [
        [f"{word:{'>' if column == 2 else '<'}{widths[column]}}" for column, word in enumerate(cell)] for cell in cells
    ]
    lines = ["  ".join(cell) for cell in aligned]
    return "\n".join([*(line.rstrip() for line in lines), _totals(rows)]) + "\n"


def check_failures(rows: Sequence[CaseRow]) -> None:
    """Refuse a run, at its end, if some cases failed.

    Args:
        rows: all cases.

    Raises:
        RefusedInputError: some cases failed. If there is only one case, its own message is used.
    """
    failed = [row for row in rows if row.status == "failed"]
    if len(rows) == 1 and failed:
        raise RefusedInputError(failed[0].message)
    if failed:
        names = ", ".join([row.case for row in failed[:_N_NAMES_SHOWN]] + ["..."] * (len(failed) > _N_NAMES_SHOWN))
        raise RefusedInputError(
            f"{len(failed)} case{'s' * (len(failed) > 1)} failed ({names}): the table gives the reasons; the same "
            "command again restores only what is missing"
        )


def _totals(rows: Sequence[CaseRow]) -> str:
    """How many cases there are of each status."""
    found = [row.status for row in rows]
    return ", ".join(f"{found.count(status)} {status}" for status in dict.fromkeys(found)) or "no cases"
