"""What becomes of each series of an application's run."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from bundle.tat.cases.refusals import explain_failure, is_output_lost
from bundle.tat.cases.table import CaseRow, Status, check_failures, format_table
from bundle.tat.dicom.study import Skipped


class RunReport:
    """Collects what the operators of one run say, so that a bad series does not stop the others.

    Attributes:
        rows: cases that are done with, in that order.
    """

    def __init__(self) -> None:
        self.rows: list[CaseRow] = []
        self._starts: dict[str, float] = {}

    def skip(self, series: Sequence[Skipped]) -> None:
        """Note what the input holds beside series that can be restored."""
        self.rows += [CaseRow(one.name, "", "skipped", one.reason) for one in series]

    def start(self, case: str) -> None:
        """Note that a case has its turn."""
        self._starts[case] = time.monotonic()

    def finish(self, case: str, modality: str, status: Status = "restored", message: str = "") -> None:
        """Note that a case is done with.

        Args:
            case: its name.
            modality: ``CT``, ``MRI`` or ``PET``.
            status: what was done.
            message: why, in a line.
        """
        self.rows.append(CaseRow(case, modality, status, message, self._seconds(case)))

    @contextmanager
    def noting_failure(self, case: str) -> Iterator[None]:
        """Note that a case fails, if that is all that goes wrong.

        Args:
            case: its name.

        Raises:
            Exception: what is raised inside, if it is an error of the program or would befall every other case too.
        """
        try:
            yield
        except Exception as error:
            reason = explain_failure(error)
            if reason is None or is_output_lost(error):
                raise
            self.rows.append(CaseRow(case, "", "failed", reason, self._seconds(case)))

    def table(self) -> str:
        """What became of the cases, as a table.

        Returns:
            Lines of text, see ``format_table``.
        """
        return format_table(self.rows)

    def check(self) -> None:
        """Say at the end that a run was not a full success.

        Raises:
            RefusedInputError: cases have failed.
        """
        check_failures(self.rows)

    def _seconds(self, case: str) -> float:
        now = time.monotonic()
        return now - self._starts.get(case, now)


def noting_failure(report: RunReport | None, case: str) -> AbstractContextManager[None]:
    """Note that a case fails, where there is a report; without one the failure goes on up and ends the application.

    Args:
        report: of the run.
        case: name of the case.
    """
    return nullcontext() if report is None else report.noting_failure(case)
