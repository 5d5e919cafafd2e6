"""The middle slice of each validated volume, for TensorBoard."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import Tensor

from bundle.tat.modality import EVALUATION_WINDOWS, INTENSITY_RANGES, Modality
from bundle.tat.transforms.scale.intensity import from_unit_range


class ValidationPictures:
    """Handler that shows input, prediction, label and residual (prediction - label) side by side.

    The first three are shown in the modality's evaluation window, the residual in the same width around grey.

    Args:
        writer: a TensorBoard ``SummaryWriter``; ``None`` shows nothing.

    Shape:
        decollated engine output with ``pred`` and ``label`` ``(1, W, H, D)`` in physical units; a batch with the
        ``image`` in [0, 1], padded at the end, and the ``modality``.
    """

    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def attach(self, evaluator: Engine) -> None:
        """Show the volumes of ``evaluator`` as they are validated."""
        if self.writer is not None:
            evaluator.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, evaluator: Engine) -> None:
        """Write one picture for each volume of this iteration."""
        outputs: Sequence[Mapping[str, Any]] = evaluator.state.output  # type: ignore[assignment]
        batches: Sequence[Mapping[str, Any]] = evaluator.state.batch  # type: ignore[assignment]
        for number, (batch, output) in enumerate(zip(batches, outputs, strict=True)):
            name = f"{batch['modality']}/{evaluator.state.iteration}_{number}"
            self.writer.add_image(name, picture({**batch, **output}), evaluator.state.epoch, dataformats="HW")


def picture(volume: Mapping[str, Any]) -> Tensor:
    """Middle slices side by side.

    Args:
        volume: ``image``, ``pred``, ``label`` and ``modality`` of one volume.

    Returns:
        Input, prediction, label and residual ``(H, 4 W)`` in [0, 1].
    """
    modality = Modality(volume["modality"])
    window = EVALUATION_WINDOWS[modality]
    pred, label, image = (torch.as_tensor(volume[key])[0] for key in ("pred", "label", "image"))
    middle = label.shape[-1] // 2
    width, height = label.shape[:2]
    # The input was not brought back, since validation does not need it.
    image = from_unit_range(image[:width, :height], INTENSITY_RANGES[modality])
    shown = [(part[..., middle] - window.low) / window.width for part in (image, pred, label)]
    shown.append(0.5 + (pred - label)[..., middle] / window.width)
    return torch.cat([part.clamp(0, 1).T for part in shown], dim=1)
