"""Writing the report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from bundle.tat.atomic import write_text
from bundle.tat.cases.table import CaseRow
from bundle.tat.data.datalist import resolve_path
from bundle.tat.quality.calibration import read_calibration
from bundle.tat.refusal import RefusedInputError
from bundle.tat.report.collect import read_run, write_run

REPORT_NAME: Final = "report.html"


class ReportWriter:
    """Writes ``report.html`` into the output folder of a run, at its end or later.

    The drawing library is imported only when the report is written: a run that ends early does not wait for it.

    Args:
        output_dir: folder of the results.
        weights: file of the weights, for the calibration beside it; ``None`` leaves the calibration out.
        kind: ``none`` writes no report at the end of a run. The other kinds differ in what was measured before.
    """

    def __init__(
        self,
        output_dir: str | Path,
        weights: str | None = None,
        kind: Literal["none", "brief", "thorough"] = "brief",
    ) -> None:
        self.output_dir = resolve_path(str(output_dir))
        self.weights = weights
        self.kind = kind

    @property
    def path(self) -> Path:
        """Of the report."""
        return self.output_dir / REPORT_NAME

    def write(self, rows: Sequence[CaseRow]) -> Path | None:
        """Write the report at the end of a run; without any restored scan, nothing is written.

        Without a report, the one of an earlier run is removed if scans were restored anew: it shows images that are
        gone.

        Args:
            rows: the cases of the run, with their results.

        Returns:
            Path of the report; ``None`` without a report, or where no scan was restored, now or before. The table of
            the run says why.

        Raises:
            RefusedInputError: the folder cannot be written to.
        """
        if self.kind == "none":
            if any(row.status == "restored" for row in rows):
                self.path.unlink(missing_ok=True)
            return None
        if not read_run(self.output_dir).cases:
            return None
        write_run(self.output_dir, rows)
        return self.rewrite()

    def rewrite(self) -> Path:
        """Write the report again, from the contents of the output folder.

        Returns:
            Path of the report.

        Raises:
            RefusedInputError: there is nothing to report, or the folder cannot be written to.
        """
        from bundle.tat.report.page import render_page

        run = read_run(self.output_dir)
        if not run.cases and not run.left_out:
            raise RefusedInputError(f"{self.output_dir} holds no restored scan: pass the output folder of tat restore")
        write_text(self.path, render_page(run, read_calibration(self.weights)))
        return self.path
