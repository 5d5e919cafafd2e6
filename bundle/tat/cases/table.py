"""What became of each case of a run, for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_COLUMNS: Final = ("case", "modality", "seconds", "result")


@dataclass(frozen=True)
class CaseRow:
    """One case of a run.

    Args:
        case: its name.
        modality: ``CT``, ``MRI`` or ``PET``; empty when it was not found out.
        result: what was done, in words.
        seconds: time that it took.
        is_failure: whether it should have been restored and was not.
    """

    case: str
    modality: str
    result: str
    seconds: float = 0.0
    is_failure: bool = False


def format_table(rows: Sequence[CaseRow]) -> str:
    """Lay out the cases of a run as a table.

    Args:
        rows: cases, in the order that they are shown in.

    Returns:
        Lines of text: a heading, a line for each case, and how many there are of each result.
    """
    cells = [_COLUMNS, *((row.case, row.modality, f"{row.seconds:.1f}", row.result) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS) - 1)]
    lines = [
        f"{case:<{widths[0]}}  {modality:<{widths[1]}}  {seconds:>{widths[2]}}  {result}"
        for case, modality, seconds, result in cells
    ]
    return "\n".join([*lines, _totals(rows)]) + "\n"


def _totals(rows: Sequence[CaseRow]) -> str:
    """How many cases there are of each kind of result, which is its text before a colon."""
    kinds = [row.result.split(":")[0] for row in rows]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "no cases"
