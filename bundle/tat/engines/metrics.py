"""Validation scores of all tasks, as an Ignite metric."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from ignite.engine import Engine
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced, sync_all_reduce

from bundle.tat.metrics.restoration import evaluate_volume
from bundle.tat.modality import Modality

_MODALITIES = tuple(Modality)


class RestorationMetric(Metric):
    """Score in the paper's protocol, in physical units: the mean over tasks of the mean over each task's slices.

    Attached under a name, it also publishes each task's own score, ``val_psnr_CT`` beside ``val_psnr``.

    Args:
        score: ``psnr`` [dB], ``ssim``, or ``rmse`` in the modality's unit.

    Shape:
        decollated engine output: dictionaries with ``pred`` and ``label`` ``(1, W, H, D)`` in physical units, and a
        batch whose entries name the ``modality``.
    """

    def __init__(self, score: Literal["psnr", "ssim", "rmse"] = "psnr") -> None:
        self.score = score
        super().__init__()

    @reinit__is_reduced
    def reset(self) -> None:
        """Forget the scores of the last epoch."""
        self._total = torch.zeros(len(_MODALITIES), dtype=torch.float64)
        self._n_slices = torch.zeros(len(_MODALITIES), dtype=torch.float64)

    @reinit__is_reduced
    def update(self, output: Sequence[Mapping[str, Any]]) -> None:
        """Score the volumes of one iteration.

        Args:
            output: for each volume its ``pred``, ``label`` and ``modality``.
        """
        for volume in output:
            modality = Modality(volume["modality"])
            pred, label = (torch.as_tensor(volume[key])[0] for key in ("pred", "label"))
            scores = evaluate_volume(pred, label, modality)
            index = _MODALITIES.index(modality)
            self._total[index] += getattr(scores, self.score) * scores.n_slices
            self._n_slices[index] += scores.n_slices

    @sync_all_reduce("_total", "_n_slices")
    def compute(self) -> dict[str, float]:
        """Mean score of each task seen, by its name."""
        return {
            modality.value: float(total / n)
            for modality, total, n in zip(_MODALITIES, self._total, self._n_slices, strict=True)
            if n
        }

    def iteration_completed(self, engine: Engine) -> None:
        """Take the volumes from the engine's output and their modalities from its batch."""
        outputs: Sequence[Mapping[str, Any]] = engine.state.output  # type: ignore[assignment]
        batches: Sequence[Mapping[str, Any]] = engine.state.batch  # type: ignore[assignment]
        self.update([{**batch, **output} for output, batch in zip(outputs, batches, strict=True)])

    def completed(self, engine: Engine, name: str) -> None:
        """Publish each task's score and their mean."""
        by_task = self.compute()
        for task, score in by_task.items():
            engine.state.metrics[f"{name}_{task}"] = score
        engine.state.metrics[name] = sum(by_task.values()) / len(by_task)
