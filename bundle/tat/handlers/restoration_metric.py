"""Validation scores of all tasks, as an Ignite metric."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from ignite.engine import Engine
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced, sync_all_reduce

from bundle.tat.evaluation.scoring import SCORES, score_slices
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError

_MODALITIES: Final = tuple(Modality)
# The root mean squared errors of different tasks are in different units and have no mean.
_SCORES_WITH_MEAN: Final = ("psnr", "ssim")


class RestorationMetric(Metric):
    """Scores in the paper's protocol, in physical units: for each task the mean over its slices.

    Publishes ``val_psnr_CT``, ``val_ssim_CT``, ``val_rmse_CT`` and so on for every task seen, and the means over tasks
    as ``val_psnr`` and ``val_ssim``. Attached as ``val_psnr`` it is the key metric of a MONAI evaluator. Slices whose
    label is constant are left out.

    Args:
        prefix: first part of the names.

    Shape:
        decollated engine output: dictionaries with ``pred`` and ``label`` ``(1, W, H, D)`` in physical units, and a
        batch whose entries name the ``modality``.
    """

    def __init__(self, prefix: str = "val") -> None:
        self.prefix = prefix
        super().__init__()

    @reinit__is_reduced
    def reset(self) -> None:
        """Forget the scores of the last epoch."""
        self._total = torch.zeros(len(SCORES), len(_MODALITIES), dtype=torch.float64)
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
            slices = score_slices(pred, label, modality).values()
            sums = [sum(scores[name] for scores in slices) for name in SCORES]
            self._total[:, _MODALITIES.index(modality)] += torch.tensor(sums, dtype=torch.float64)
            self._n_slices[_MODALITIES.index(modality)] += len(slices)

    @sync_all_reduce("_total", "_n_slices")
    def compute(self) -> dict[str, float]:
        """Mean scores of each task seen, and their means over tasks, by name.

        Raises:
            RefusedInputError: no slice of any volume, on any rank, can be scored.
        """
        seen = self._n_slices > 0
        if not seen.any():
            raise RefusedInputError(
                "every label slice of the validation section is constant within its evaluation window, so that nothing "
                "can be scored: check the units and modalities of the section"
            )
        means = self._total[:, seen] / self._n_slices[seen]
        tasks = [modality.value for modality, is_seen in zip(_MODALITIES, seen, strict=True) if is_seen]
        metrics = {}
        for score, values in zip(SCORES, means, strict=True):
            metrics.update({f"{self.prefix}_{score}_{task}": float(v) for task, v in zip(tasks, values, strict=True)})
            if score in _SCORES_WITH_MEAN:
                metrics[f"{self.prefix}_{score}"] = float(values.mean())
        return metrics

    def iteration_completed(self, engine: Engine) -> None:
        """Take the volumes from the engine's output and their modalities from its batch."""
        outputs: Sequence[Mapping[str, Any]] = engine.state.output  # type: ignore[assignment]
        batches: Sequence[Mapping[str, Any]] = engine.state.batch  # type: ignore[assignment]
        self.update([{**batch, **output} for output, batch in zip(outputs, batches, strict=True)])

    def completed(self, engine: Engine, name: str) -> None:  # noqa: ARG002 - every score has a name of its own
        """Publish all scores."""
        engine.state.metrics.update(self.compute())
