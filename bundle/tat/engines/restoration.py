"""Restoring many scans; one that fails does not stop the others."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ignite.engine import Engine
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from monai.utils import CommonKeys

from bundle.tat.cases.anonymous import without_identity
from bundle.tat.cases.overlap import AsyncWriter, Err, Ok, Prefetcher
from bundle.tat.cases.progress import RunProgress, count_slices, one_bar
from bundle.tat.cases.refusals import is_output_lost
from bundle.tat.cases.sharding import Ranks
from bundle.tat.cases.table import CaseRow, check_failures, format_table
from bundle.tat.data.datalist import CASE_KEY, IMAGE_KEY, Item, name_cases, series_of
from bundle.tat.dicom.study import Skipped
from bundle.tat.engines.case_runner import Case, CaseRunner, failed_row
from bundle.tat.inferers.planes import is_in_planes, n_slices_to_restore

logger = logging.getLogger(__name__)

# Message of a case in the table until the case has been read.
_NOT_TRIED = "not tried: the run ended before this case"


class WritesReport(Protocol):
    """An object that writes the report of a run; its module imports the engines, not the reverse."""

    def write(self, rows: Sequence[CaseRow]) -> Path | None:
        """Write the report; returns its path, or ``None`` where there is nothing to report."""


class RestorationEvaluator(SupervisedEvaluator):
    """``SupervisedEvaluator`` over whole cases, where a bad case does not stop the others.

    The steps of a case are those of ``CaseRunner``. A refusal or a lack of memory is noted as the message of the case;
    an error of the program is raised. A table at the end gives the status of each case.

    While a case is restored, a thread reads the next one and another saves the one before; no more than these three are
    in memory. A handler that gets the output of a case may not find its files yet, and must not change the output. For
    one case, or without ``overlap``, there are no threads, and a case leaves memory before the next one is read.

    Args:
        items: entries of a datalist.
        runner: reads, restores and saves a case.
        skipped: series of the input that are no scans, for the table.
        ranks: this process among several; ``None`` for a single one.
        overlap: read and save cases while another is restored.
        report_writer: gets the rows of the table at the end; ``None`` without a report.
        **kwargs: as for MONAI's ``SupervisedEvaluator``.

    Raises:
        RefusedInputError: two items have one name.
    """

    def __init__(
        self,
        *,
        items: Sequence[Item],
        runner: CaseRunner,
        skipped: Sequence[Skipped] = (),
        ranks: Ranks | None = None,
        overlap: bool = True,
        report_writer: WritesReport | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            device=runner.device,
            val_data_loader=range(len(items)),
            network=runner.network,
            inferer=runner.inferer,
            iteration_update=self._iterate,
            decollate=False,
            **kwargs,
        )
        self.items = name_cases(items)
        self.runner = runner
        self.skipped = skipped
        self.ranks = ranks
        self.report_writer = report_writer
        self.overlaps = overlap and len(items) > 1
        self.rows: list[CaseRow] = []
        self._failed_now: set[int] = set()
        self._progress: RunProgress

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]  # as MONAI's own
        """Restore the cases, and print the table of them.

        Raises:
            RefusedInputError: cases have failed, or the output folder cannot be written to.
        """
        finished, inferer = self.runner.finished, self.runner.inferer
        finished.check_writable()
        skipped = self.skipped if self.ranks is None or self.ranks.rank == 0 else ()
        self.rows = [CaseRow(series.name, "", "skipped", series.reason) for series in skipped]
        self.rows += [CaseRow(item[CASE_KEY], "", "failed", _NOT_TRIED) for item in self.items]
        n_slices = [
            0 if finished.looks_finished(item) else count_slices(item, inferer.slice_axis) for item in self.items
        ]
        with (
            one_bar(inferer, n_slices) as self._progress,
            closing(Prefetcher(self._read, len(self.items), threaded=self.overlaps)) as self._reader,
            closing(AsyncWriter[CaseRow](threaded=self.overlaps)) as self._writer,
        ):
            try:
                if n_slices:
                    super().run(global_epoch)
            finally:
                self._settle()
        rows = self.rows if self.ranks is None else self.ranks.gather(self.rows)
        if rows is not None:
            sys.stdout.write(format_table(rows))
            if self.report_writer is not None and (report := self.report_writer.write(rows)) is not None:
                sys.stdout.write(f"report: {report}\n")
            check_failures(rows)

    def _iterate(self, _: Engine, index: int) -> Any:
        """Deal with one case, and return its output as MONAI has it after decollating; ``None`` if it has none."""
        self._failed_now.clear()
        self._progress.begin(index)
        self._deal_with(index)
        self._progress.end(index)
        if index in self._failed_now:
            self.state.batch = self.state.output = None
        if self._failed_now:
            gc.collect()  # an error may hold volumes, in a circle
        return self.state.output

    def _deal_with(self, index: int) -> None:
        """Restore a case, and begin to save it when the one before is saved."""
        outcome = self._reader.take(index).map(partial(self._restore, index))
        if isinstance(outcome, Err) or outcome.value.data is None:
            self._note(index, outcome.map(self.runner.save))
        else:
            self._settle()
            if not self.should_terminate:
                self._writer.put(index, partial(outcome.map, self.runner.save))
        if self._writer.is_done:
            self._settle()

    def _read(self, index: int) -> Case:
        return self.runner.prepare(self.runner.read(self.items[index]))

    def _restore(self, index: int, case: Case) -> Case:
        """Restore a case that was read, in the units and on the grid of its scan."""
        if case.data is None:
            return case
        image = case.data[CommonKeys.IMAGE]
        n_slices = n_slices_to_restore(image, self.runner.inferer.slice_axis, in_planes=is_in_planes(image))
        self._progress.restore(index, n_slices)
        self._show(case, restored := self.runner.infer(case))
        self._progress.save(index)
        self.fire_event(IterationEvents.FORWARD_COMPLETED)
        self._show(case, finished := self.runner.finish(restored))
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return finished

    def _show(self, given: Case, made: Case) -> None:
        """Let handlers see a case as MONAI's engines show theirs after decollating."""
        self.state.batch, self.state.output = [given.data], [made.data]

    def _settle(self) -> None:
        """Wait for the case that is being saved, if any, and note its status."""
        if (settled := self._writer.settle()) is not None:
            self._note(*settled)

    def _note(self, index: int, outcome: Ok[CaseRow] | Err) -> None:
        """Note the status of a case, in its row of the table and, for several cases, in the log."""
        row = self._failure(index, outcome.error) if isinstance(outcome, Err) else outcome.value
        self.rows[index - len(self.items)] = row = replace(row, seconds=outcome.seconds)
        if len(self.items) > 1:
            level = logging.WARNING if row.status == "failed" else logging.INFO
            words = f"{row.status}: {row.message}" if row.message else row.status
            logger.log(level, "case %d of %d, %s: %s, %.1f s", index + 1, len(self.items), row.case, words, row.seconds)

    def _failure(self, index: int, error: Exception) -> CaseRow:
        """The row of a case that failed; an error of the program is raised again."""
        item = self.items[index]
        self._failed_now.add(index)
        row = failed_row(item[CASE_KEY], str(item.get("modality", "")), error)
        row = replace(row, anonymous_message=without_identity(row.message, _places(item)))
        if is_output_lost(error):
            self.terminate()
        return row


def _places(item: Item) -> list[Path]:
    """Where the scan of a case lies, and its files."""
    listed = item[IMAGE_KEY]
    places = [Path(str(path)) for path in ((listed,) if isinstance(listed, str | Path) else listed)]
    series = series_of(item)
    return places if series is None else [*places, series.folder, *series.files]
