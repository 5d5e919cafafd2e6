"""Restoring volumes in memory, as ``configs/inference.json`` does with files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from numpy.typing import NDArray

from bundle.tat.cases.table import CaseRow
from bundle.tat.engines import CaseRunner
from bundle.tat.engines.case_runner import Case
from bundle.tat.file_digest import file_sha256
from bundle.tat.handlers.weights_loader import load_weights
from bundle.tat.modality import Modality
from bundle.tat.provenance import Provenance
from bundle.tat.trained_kind import TrainedKind
from bundle.tat.version import VERSION
from scripts.benchmarks.documents import ROOT

INFERENCE: Final = ROOT / "configs" / "inference.json"
WEIGHTS: Final = ROOT / "models" / "model.pt"

Volume = NDArray[np.float32]


class Pipeline:
    """The steps of ``inference.json`` between reading and saving, for any resolution.

    Args:
        modality: of the volumes.
        weights: file of the weights; the file beside it says what they were trained on.
    """

    def __init__(self, modality: Modality, weights: Path = WEIGHTS) -> None:
        self.modality = modality
        parser = ConfigParser()
        parser.read_config(str(INFERENCE))
        parser.update({"ckpt_path": str(weights), "any_resolution": True, "inferer#progress": False})
        parser.parse()
        self.runner: CaseRunner = parser.get_parsed_content("runner")
        self.trained: TrainedKind = parser.get_parsed_content("trained_kind")
        load_weights(self.runner.network, str(weights))
        self.provenance = Provenance(file_sha256(weights), VERSION).columns()

    def restore(self, volume: Volume, affine: NDArray[np.float64]) -> Volume:
        """Restore a volume ``(W, H, D)`` in its unit: slice by slice, PET of nearly cubic voxels in its three planes.

        Args:
            volume: slices along the last axis.
            affine: array indices to RAS [mm].
        """
        data: dict[str, Any] = {
            "image": MetaTensor(volume[None].copy(), affine=affine),
            "modality": self.modality.value,
        }
        case = self.runner.prepare(Case(CaseRow("in memory", self.modality.value, "restored", ""), data))
        restored = self.runner.restore(case).data
        if restored is None:
            raise AssertionError("a case that was prepared has data")
        values: Volume = restored["pred"][0].numpy()
        return values
