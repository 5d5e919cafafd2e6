"""Restoring many scans, of which some may be bad."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final

import torch
from ignite.engine import Engine
from monai.data import Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from monai.transforms import Transform
from monai.utils import CommonKeys
from torch import Tensor, nn

from bundle.tat.data.case_record import SOURCE_KEY
from bundle.tat.data.dicom_study import Skipped
from bundle.tat.engines.case_table import CaseRow, format_table
from bundle.tat.engines.finished import FinishedCases
from bundle.tat.engines.refusals import explain_failure, is_output_lost
from bundle.tat.engines.run_progress import RunProgress, count_slices, one_bar
from bundle.tat.engines.sharding import Ranks
from bundle.tat.engines.sources import fingerprint
from bundle.tat.inferers.slices import RestorationSliceInferer
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

# A message names this many cases and counts the rest.
_N_NAMES_SHOWN: Final = 3


class RestorationEvaluator(SupervisedEvaluator):
    """``SupervisedEvaluator`` over whole cases, one at a time, where a bad case does not stop the others.

    A case is read, restored and saved in one iteration, so that all that can go wrong with it is caught in one place:
    refusals and lack of memory are remembered, errors of the program go on up. Its volumes stay on the host, and only
    slices go to the device. Nothing of a case is kept when the next one is read. Cases that an earlier run finished
    are left out, and a table at the end says what became of each case.

    Args:
        dataset: cases, entries of a datalist with a ``case`` each, and what reads them.
        network: restores slices, on ``device``.
        inferer: takes a volume to the network and back.
        postprocessing: from the network's output back to the grid and units of the scan.
        saving: writes what ``postprocessing`` leaves; apart from it, since other programs take that and write results
            themselves.
        finished: knows what earlier runs left in the output folder.
        skipped: series of the input that are no scans, for the table.
        ranks: this process among several; ``None`` for a single one.
        **kwargs: as for MONAI's ``SupervisedEvaluator``.
    """

    def __init__(
        self,
        *,
        dataset: Dataset,
        network: nn.Module,
        inferer: RestorationSliceInferer,
        saving: Transform,
        finished: FinishedCases,
        skipped: Sequence[Skipped] = (),
        ranks: Ranks | None = None,
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
        self._register_postprocessing(saving)
        self.slice_inferer = inferer
        self.dataset = dataset
        self.finished = finished
        self.skipped = skipped
        self.ranks = ranks
        self.rows: list[CaseRow] = []
        self._progress: RunProgress

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]  # as MONAI's own
        """Restore the cases, and print what became of them.

        Raises:
            RefusedInputError: cases have failed, or the output folder cannot be written to.
        """
        self.finished.check_writable()
        self.rows = []
        if self.ranks is None or self.ranks.rank == 0:
            self.rows = [CaseRow(series.name, "", f"skipped: {series.reason}") for series in self.skipped]
        n_slices = [
            0 if self.finished.looks_finished(item) else count_slices(item, self.slice_inferer.slice_axis)
            for item in self.dataset.data
        ]
        with one_bar(self.slice_inferer, n_slices) as self._progress:
            if n_slices:
                super().run(global_epoch)
        for item in self.dataset.data[self.state.iteration :]:
            self.rows.append(CaseRow(item["case"], "", "failed: not tried, the run ended before", is_failure=True))
        rows = self.rows if self.ranks is None else self.ranks.gather(self.rows)
        if rows is not None:
            sys.stdout.write(format_table(rows))
            check_failures(rows)

    def _iterate(self, _: Engine, index: int) -> Any:
        """Deal with one case.

        Args:
            _: this engine.
            index: place of the case in the data set.

        Returns:
            The output of a restored case, in a list as MONAI has it after decollating; ``None`` for another.
        """
        item = self.dataset.data[index]
        start = time.monotonic()
        self._progress.begin(index)
        try:
            row = self._deal_with(item, index)
        except Exception as error:
            row = self._failure(item, error)
        if row.is_failure:
            self.state.batch = self.state.output = None
            gc.collect()
        self._progress.end(index)
        self.rows.append(replace(row, seconds=time.monotonic() - start))
        return self.state.output

    def _deal_with(self, item: Mapping[str, Any], index: int) -> CaseRow:
        """Restore a case, unless that was done before."""
        record, reason_to_redo = self.finished.look_up(item)
        if record is not None and not reason_to_redo:
            return CaseRow(record.case, record.modality, "skipped: finished before")
        self.finished.check_replaceable(item)
        modality = self._restore(index, fingerprint(item))
        return CaseRow(item["case"], modality, f"restored again: {reason_to_redo}" if reason_to_redo else "restored")

    def _restore(self, index: int, source: str) -> str:
        """Read, restore and save a case, and return its modality."""
        batch = {**self.dataset[index], SOURCE_KEY: source}
        image = batch[CommonKeys.IMAGE]
        self._progress.restore(index, image.shape[self.slice_inferer.slice_axis + 1])
        with self.mode(self.network), torch.autocast("cuda", **self.amp_kwargs) if self.amp else nullcontext():
            pred = self.slice_inferer(image.as_tensor()[None], self._restore_slices)[0]
        self.state.batch = [batch]
        self.state.output = [{CommonKeys.IMAGE: image, CommonKeys.PRED: MetaTensor(pred).copy_meta_from(image)}]
        self._progress.save(index)
        self.fire_event(IterationEvents.FORWARD_COMPLETED)
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return str(batch.get("modality", ""))

    def _restore_slices(self, slices: Tensor) -> Tensor:
        """The network on slices of the host."""
        restored: Tensor = self.network(slices.to(self.state.device, non_blocking=self.non_blocking))
        return restored.to(slices)

    def _failure(self, item: Mapping[str, Any], error: Exception) -> CaseRow:
        """What is remembered of an error, if it is about the case; an error of the program is raised again."""
        reason = explain_failure(error)
        if reason is None:
            raise error
        if is_output_lost(error):
            self.terminate()
        if len(self.dataset) > 1:
            logger.warning("case %s failed: %s", item["case"], reason)
        return CaseRow(item["case"], str(item.get("modality", "")), f"failed: {reason}", is_failure=True)


def check_failures(rows: Sequence[CaseRow]) -> None:
    """Say at the end of a run that it was not a full success.

    Args:
        rows: all cases.

    Raises:
        RefusedInputError: some have failed.
    """
    failed = [row for row in rows if row.is_failure]
    if len(rows) == 1 and failed:
        raise RefusedInputError(failed[0].result.removeprefix("failed: "))
    if failed:
        names = ", ".join(row.case for row in failed[:_N_NAMES_SHOWN])
        more = ", ..." if len(failed) > _N_NAMES_SHOWN else ""
        raise RefusedInputError(
            f"{len(failed)} case{'s' * (len(failed) > 1)} failed ({names}{more}): the table says why; the same command "
            "goes on where this one stopped"
        )
