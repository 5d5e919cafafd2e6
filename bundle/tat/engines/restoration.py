"""Restoring many scans, of which some may be bad."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple

import torch
from ignite.engine import Engine
from monai.data import Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from monai.transforms import Transform
from monai.utils import CommonKeys
from torch import Tensor, nn

from bundle.tat.cases.fingerprint import fingerprint
from bundle.tat.cases.finished import CompletedCases
from bundle.tat.cases.overlap import AsyncWriter, Err, Ok, Prefetcher
from bundle.tat.cases.progress import RunProgress, count_slices, one_bar
from bundle.tat.cases.record import SOURCE_KEY
from bundle.tat.cases.refusals import explain_failure, is_output_lost
from bundle.tat.cases.settings import parse_bool
from bundle.tat.cases.sharding import Ranks
from bundle.tat.cases.table import CaseRow, check_failures, format_table
from bundle.tat.dicom.study import Skipped
from bundle.tat.inferers.slices import RestorationSliceInferer

logger = logging.getLogger(__name__)

# What the table says of a case until it is known what becomes of it.
_NOT_TRIED: Final = "not tried, the run ended before"


class _Case(NamedTuple):
    """A case on its way.

    Args:
        row: what the table says of it, if all goes well.
        data: what was read, then what is saved; ``None`` for a case that an earlier run finished.
    """

    row: CaseRow
    data: dict[str, Any] | None


class RestorationEvaluator(SupervisedEvaluator):
    """``SupervisedEvaluator`` over whole cases, where a bad case does not stop the others.

    A case is read, restored and saved in steps whose errors are kept with the case: refusals and lack of memory are
    remembered, errors of the program go on up. Its volumes stay on the host, and only slices go to the device. Cases
    that an earlier run finished are left out, and a table at the end says what became of each case.

    While a case is restored, a thread reads the next one and another saves the one before; no more than these three are
    in memory. A handler that sees the output of a case may not yet find its files, and must leave the output as it is.
    For one case, or without ``overlap``, there are no threads, and nothing of a case is kept when the next is read.

    Args:
        dataset: cases, entries of a datalist with a ``case`` each, and what reads them.
        network: restores slices, on ``device``.
        inferer: takes a volume to the network and back.
        postprocessing: from the network's output back to the grid and units of the scan.
        saving: writes what ``postprocessing`` leaves; apart from it, since other programs write results themselves.
        finished: knows what earlier runs left in the output folder.
        skipped: series of the input that are no scans, for the table.
        ranks: this process among several; ``None`` for a single one.
        overlap: read and save cases while another is restored.
        **kwargs: as for MONAI's ``SupervisedEvaluator``.

    Raises:
        RefusedInputError: ``overlap`` is neither true nor false.
    """

    def __init__(
        self,
        *,
        dataset: Dataset,
        network: nn.Module,
        inferer: RestorationSliceInferer,
        saving: Transform,
        finished: CompletedCases,
        skipped: Sequence[Skipped] = (),
        ranks: Ranks | None = None,
        overlap: bool | str = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            val_data_loader=range(len(dataset)),
            network=network,
            iteration_update=self._iterate,
            inferer=inferer,
            decollate=False,
            **kwargs,
        )
        self.slice_inferer = inferer
        self.dataset = dataset
        self.saving = saving
        self.finished = finished
        self.skipped = skipped
        self.ranks = ranks
        self.overlaps = parse_bool("overlap", overlap) and len(dataset) > 1
        self.rows: list[CaseRow] = []
        # MONAI's transforms change themselves for as long as they invert, see ``allow_missing_keys_mode``.
        self._transforms_in_use = Lock()
        self._failed_now: set[int] = set()
        self._progress: RunProgress

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]  # as MONAI's own
        """Restore the cases, and print what became of them.

        Raises:
            RefusedInputError: cases have failed, or the output folder cannot be written to.
        """
        self.finished.check_writable()
        items, axis = self.dataset.data, self.slice_inferer.slice_axis
        skipped = self.skipped if self.ranks is None or self.ranks.rank == 0 else ()
        self.rows = [CaseRow(series.name, "", "skipped", series.reason) for series in skipped]
        self.rows += [CaseRow(item["case"], "", "failed", _NOT_TRIED) for item in items]
        n_slices = [0 if self.finished.looks_finished(item) else count_slices(item, axis) for item in items]
        with (
            one_bar(self.slice_inferer, n_slices) as self._progress,
            closing(Prefetcher(self._read, len(items), parse_bool=self.overlaps)) as self._reader,
            closing(AsyncWriter[CaseRow](parse_bool=self.overlaps)) as self._writer,
        ):
            try:
                if n_slices:
                    super().run(global_epoch)
            finally:
                self._settle()
        rows = self.rows if self.ranks is None else self.ranks.gather(self.rows)
        if rows is not None:
            sys.stdout.write(format_table(rows))
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
            self._note(index, outcome.map(self._save))
        else:
            self._settle()
            if not self.should_terminate:
                self._writer.put(index, partial(outcome.map, self._save))
        if self._writer.is_done:
            self._settle()

    def _read(self, index: int) -> _Case:
        """Read a case, unless it was restored before."""
        item = self.dataset.data[index]
        record, reason = self.finished.look_up(item)
        if record is not None and not reason:
            return _Case(CaseRow(record.case, record.modality, "skipped", "finished before"), None)
        self.finished.check_replaceable(item)
        source = fingerprint(item)
        with self._transforms_in_use:
            batch = {**self.dataset[index], SOURCE_KEY: source}
        message = f"again: {reason}" if reason else ""
        return _Case(CaseRow(item["case"], str(batch.get("modality", "")), "restored", message), batch)

    def _restore(self, index: int, case: _Case) -> _Case:
        """Restore a case that was read, in the units and on the grid of its scan."""
        if case.data is None:
            return case
        image = case.data[CommonKeys.IMAGE]
        self._progress.restore(index, image.shape[self.slice_inferer.slice_axis + 1])
        with self.mode(self.network), torch.autocast("cuda", **self.amp_kwargs) if self.amp else nullcontext():
            pred = self.slice_inferer(image.as_tensor()[None], self._restore_slices)[0]
        self.state.batch = [case.data]
        self.state.output = [{CommonKeys.IMAGE: image, CommonKeys.PRED: MetaTensor(pred).copy_meta_from(image)}]
        self._progress.save(index)
        with self._transforms_in_use:
            self.fire_event(IterationEvents.FORWARD_COMPLETED)
            self.fire_event(IterationEvents.MODEL_COMPLETED)
        return _Case(case.row, {**self.state.batch[0], **self.state.output[0]})

    def _save(self, case: _Case) -> CaseRow:
        """Save a case, if it was restored now."""
        if case.data is not None:
            self.saving(case.data)
        return case.row

    def _settle(self) -> None:
        """Wait for the case that is being saved, if any, and note what became of it."""
        if (settled := self._writer.settle()) is not None:
            self._note(*settled)

    def _note(self, index: int, outcome: Ok[CaseRow] | Err) -> None:
        """Note what became of a case, in its row of the table."""
        row = self._failure(index, outcome.error) if isinstance(outcome, Err) else outcome.value
        self.rows[index - len(self.dataset)] = replace(row, seconds=outcome.seconds)

    def _restore_slices(self, slices: Tensor) -> Tensor:
        """The network on slices of the host."""
        restored: Tensor = self.network(slices.to(self.state.device, non_blocking=self.non_blocking))
        return restored.to(slices)

    def _failure(self, index: int, error: Exception) -> CaseRow:
        """What is remembered of an error, if it is about the case; an error of the program is raised again."""
        item = self.dataset.data[index]
        self._failed_now.add(index)
        reason = explain_failure(error)
        if reason is None:
            raise error
        if is_output_lost(error):
            self.terminate()
        if len(self.dataset) > 1:
            logger.warning("case %s failed: %s", item["case"], reason)
        return CaseRow(item["case"], str(item.get("modality", "")), "failed", reason)
