"""Restoring MRI slices in memory, and what would be refused of them."""

from __future__ import annotations

from pathlib import Path

import torch

from bundle.tat.modality import Modality
from bundle.tat.transforms.in_distribution import support_of, why_not_completed
from scripts.benchmarks.pipeline import WEIGHTS, Pipeline, Volume


class MriPipeline(Pipeline):
    """A pipeline that also tells what ``tat restore`` would refuse.

    Args:
        weights: file of the weights; what they were trained on stands beside it.
    """

    def __init__(self, weights: Path = WEIGHTS) -> None:
        super().__init__(Modality.MRI, weights)

    def refusal(self, volume: Volume) -> str | None:
        """Why a volume ``(W, H, D)`` would be refused by its k-space; ``None`` where it would not."""
        support = support_of(torch.from_numpy(volume)[None], slice_axis=-1)
        return why_not_completed([axis.kept for axis in support], self.trained)
