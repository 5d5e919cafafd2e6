"""The table of an application's run: the status of each series."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

from bundle.tat.cases.refusals import is_output_lost
from bundle.tat.cases.table import CaseRow, check_failures, format_table
from bundle.tat.dicom.study import Skipped
from bundle.tat.engines.case_runner import failed_row


class RunReport:
    """Collects the rows of the operators of one run, so that a series that fails does not stop the others.

    Attributes:
        rows: cases that have ended, in that order.
    """

    def __init__(self) -> None:
        self.rows: list[CaseRow] = []
        self._starts: dict[str, float] = {}

    def skip(self, series: Sequence[Skipped]) -> None:
        """Note what is skipped in the input."""
        self.rows += [CaseRow(one.name, "", "skipped", one.reason) for one in series]

    def start(self, case: str) -> None:
        """Note that a case has begun."""
        self._starts[case] = time.monotonic()

    def finish(self, row: CaseRow) -> None:
        """Note that a case has ended.

        Args:
            row: its row of the table; its time is filled in.
        """
        self.rows.append(replace(row, seconds=self._seconds(row.case)))

    @contextmanager
    def noting_failure(self, case: str) -> Iterator[None]:
        """Note that a case fails, if its error is a refusal or a lack of memory.

        Args:
            case: its name.

        Raises:
            Exception: what is raised inside, if it is an error of the program or would stop every other case too.
        """
        try:
            yield
        except Exception as error:
            if is_output_lost(error):
                raise
            self.finish(failed_row(case, "", error))

    def table(self) -> str:
        """The cases and their status as a table.

        Returns:
            Lines of text, see ``format_table``.
        """
        return format_table(self.rows)

    def check(self) -> None:
        """Refuse a run, at its end, if cases have failed.

        Raises:
            RefusedInputError: cases have failed.
        """
        check_failures(self.rows)

    def _seconds(self, case: str) -> float:
        now = time.monotonic()
        return now - self._starts.get(case, now)


def noting_failure(report: RunReport | None, case: str) -> AbstractContextManager[None]:
    """Note that a case fails, where there is a report. Without a report the error is raised and ends the application.

    Args:
        report: of the run.
        case: name of the case.
    """
    return nullcontext() if report is None else report.noting_failure(case)
