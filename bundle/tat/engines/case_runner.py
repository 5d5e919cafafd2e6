"""The steps of one case, for every program that restores: read, prepare, restore, save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.data import Dataset, MetaTensor
from monai.networks.utils import eval_mode
from monai.transforms import Compose, Transform
from monai.utils import CommonKeys, ensure_tuple
from torch import Tensor, nn

from bundle.tat.cases.fingerprint import fingerprint
from bundle.tat.cases.finished import CompletedCases
from bundle.tat.cases.record import SOURCE_KEY, CaseRecord
from bundle.tat.cases.refusals import explain_failure
from bundle.tat.cases.table import CaseRow
from bundle.tat.data.datalist import CASE_KEY, SERIES_KEY, series_of
from bundle.tat.data.sidecar import SIDECAR_KEY, sidecar_of
from bundle.tat.inferers.planes import is_in_planes
from bundle.tat.inferers.representation import recorded_representations
from bundle.tat.inferers.self_agreement import disagreement_of_slices
from bundle.tat.inferers.slices import RestorationSliceInferer
from bundle.tat.quality.record import QUALITY_KEY
from bundle.tat.quality.verdict import DO_NOT_USE
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.load import LoadScand
from bundle.tat.transforms.quality import DISAGREEMENT_KEY, REPRESENTATION_KEY


class Case(NamedTuple):
    """A case between two steps.

    Args:
        row: its row of the table, if no later step fails.
        data: what was read, then what is saved; ``None`` for a case that an earlier run finished.
    """

    row: CaseRow
    data: dict[str, Any] | None


class CaseRunner:
    """Takes a case from its files to its result, in steps that the engines and MONAI Deploy's operators call.

    Its volumes stay on the host, and only slices go to the device. Steps of two cases may run in two threads.

    Args:
        dataset: its ``transform`` takes an item to the network's input and begins with ``LoadScand``.
        network: restores slices, on ``device``.
        inferer: takes a volume to the network and back.
        postprocessing: from the network's output back to the grid and units of the scan.
        saving: writes what ``postprocessing`` leaves.
        finished: knows what earlier runs left in the output folder.
        device: where the network is.
        thorough: restore each slice also flipped and rotated, in seven ways, for the report: 8 times the work.
        refuse_doubtful: also refuse a case that an earlier run finished with the verdict ``do not use``.
    """

    def __init__(
        self,
        *,
        dataset: Dataset,
        network: nn.Module,
        inferer: RestorationSliceInferer,
        postprocessing: Transform,
        saving: Transform,
        finished: CompletedCases,
        device: str | torch.device,
        thorough: bool = False,
        refuse_doubtful: bool = False,
    ) -> None:
        steps = ensure_tuple(getattr(dataset.transform, "transforms", dataset.transform))
        # Not composed: MONAI would wrap what is refused.
        self.load = [step for step in steps if isinstance(step, LoadScand)]
        self.preprocessing = Compose([step for step in steps if not isinstance(step, LoadScand)])
        self.network = network
        self.inferer = inferer
        self.postprocessing = postprocessing
        self.saving = saving
        self.finished = finished
        self.device = torch.device(device)
        self.thorough = thorough
        self.refuse_doubtful = refuse_doubtful
        # MONAI's transforms change themselves for as long as they invert, see ``allow_missing_keys_mode``.
        self._transforms_in_use = Lock()

    def read(self, item: Mapping[str, Any]) -> Case:
        """Read a case in its physical units, unless an earlier run has finished it.

        Args:
            item: entry of a datalist, with its ``case``.

        Raises:
            RefusedInputError: the scan cannot be read, or its result would replace other files than a result.
        """
        series = series_of(item)
        known = {**item, SIDECAR_KEY: sidecar_of(item)} if series is None else {**item, SERIES_KEY: series}
        source = fingerprint(known)
        status = self.finished.status(known, source)
        if (record := status.finished) is not None:
            return Case(self._finished_row(record), None)
        self.finished.check_replaceable(known)
        message = f"again: {status.reason_to_redo}" if status.reason_to_redo else ""
        row = CaseRow(str(item[CASE_KEY]), str(item.get("modality", "")), "restored", message)
        data: dict[Any, Any] = dict(known)
        for step in self.load:
            data = step(data)
        return Case(row, {**data, SOURCE_KEY: source})

    def prepare(self, case: Case) -> Case:
        """Bring a case that was read to the scale and size that the network takes.

        Args:
            case: as ``read`` returned it; ``image`` in physical units.

        Raises:
            RefusedInputError: the scan cannot be restored, see the transforms of ``preprocessing``.
        """
        if case.data is None:
            return case
        with self._transforms_in_use:
            data = self.preprocessing(case.data)
        return Case(replace(case.row, modality=str(data.get("modality", ""))), data)

    def infer(self, case: Case) -> Case:
        """Let the network restore a case that was prepared.

        The result is ``pred``, on the network's scale. It has taken the place of ``image`` in memory.
        """
        if case.data is None:
            return case
        image = case.data[CommonKeys.IMAGE]
        restored = image.as_tensor()
        in_planes = is_in_planes(image)
        seen = restored.clone() if self.thorough else restored
        found: dict[str, Any] = {}
        with eval_mode(self.network):
            with recorded_representations(self.network) as vectors:
                self.inferer.restore_in_place(restored[None], self._restore_slices, in_planes=in_planes)
            if vectors:
                found[REPRESENTATION_KEY] = np.concatenate(vectors)
            if self.thorough:
                known = None if in_planes else restored
                found[DISAGREEMENT_KEY] = disagreement_of_slices(seen, known, self.inferer, self._restore_slices)
        return Case(case.row, {**case.data, **found, CommonKeys.PRED: MetaTensor(restored).copy_meta_from(image)})

    def finish(self, case: Case) -> Case:
        """Bring ``pred`` back to the units and the grid of the scan."""
        if case.data is None:
            return case
        with self._transforms_in_use:
            data = self.postprocessing(case.data)
        quality = data.get(QUALITY_KEY)
        return Case(case.row if quality is None else replace(case.row, verdict=quality.judgement.verdict), data)

    def restore(self, case: Case) -> Case:
        """``infer`` and ``finish``: a case that was prepared, restored in the units and on the grid of its scan."""
        return self.finish(self.infer(case))

    def save(self, case: Case) -> CaseRow:
        """Save a case, if this run restored it; returns its row of the table."""
        if case.data is not None:
            self.saving(case.data)
        return case.row

    def _finished_row(self, record: CaseRecord) -> CaseRow:
        """The row of a case that an earlier run finished."""
        verdict = record.quality.judgement.verdict if record.quality else ""
        if self.refuse_doubtful and verdict == DO_NOT_USE:
            raise RefusedInputError(
                f"an earlier run restored it with the verdict {DO_NOT_USE}: remove the folder {record.case} from the "
                "output, or leave --refuse_doubtful out"
            )
        return CaseRow(record.case, record.modality, "skipped", "finished by an earlier run", verdict=verdict)

    def _restore_slices(self, slices: Tensor) -> Tensor:
        """The network on slices of the host."""
        restored: Tensor = self.network(slices.to(self.device)).to(slices)
        return restored


def failed_row(case: str, modality: str, error: Exception) -> CaseRow:
    """The row of a case that failed.

    Args:
        case: its name.
        modality: what is known of it.
        error: what was raised while it was read, restored or saved.

    Returns:
        The row.

    Raises:
        Exception: ``error`` itself, if it is an error of the program.
    """
    reason = explain_failure(error)
    if reason is None:
        raise error
    return CaseRow(case, modality, "failed", reason)
