"""Restoring MRI slices in memory, and whether they would be refused."""

from __future__ import annotations

from pathlib import Path

import torch

from bundle.tat.modality import Modality
from bundle.tat.transforms.in_distribution import support_of, why_not_completed
from scripts.benchmarks.pipeline import WEIGHTS, Pipeline, Volume


class MriPipeline(Pipeline):
    """A pipeline that also says what ``tat restore`` would refuse.

    Args:
        weights: file of the weights; the file beside it says what they were trained on.
    """

    def __init__(self, weights: Path = WEIGHTS) -> None:
        super().__init__(Modality.MRI, weights)

    def refusal(self, volume: Volume) -> str | None:
        """Why a volume ``(W, H, D)`` would be refused by its k-space; ``None`` where it would not."""
        support = support_of(torch.from_numpy(volume)[None], slice_axis=-1)
        return why_not_completed([axis.kept for axis in support], self.trained)
