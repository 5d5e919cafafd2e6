"""MONAI's trainer, for losses that also depend on the degraded image."""

from collections.abc import Callable
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from monai.utils import CommonKeys
from torch import Tensor

from bundle.tat.losses.sample import DivergedError
from bundle.tat.refusal import RefusedInputError

RestorationLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


class RestorationTrainer(SupervisedTrainer):
    """``SupervisedTrainer`` whose loss is called with image, prediction and label.

    Training stops with an error when a loss is not finite, before the loss can spoil the weights.

    Args:
        loss_function: ``(image, pred, label) -> scalar``, such as ``TaskAdaptiveLoss``.
        max_epochs: number of epochs.
        epoch_length: steps in an epoch; ``None`` for as many as the loader has.
        **kwargs: as for MONAI's ``SupervisedTrainer``.

    Raises:
        RefusedInputError: the number of epochs, or of steps in an epoch, is below 1.
    """

    def __init__(
        self, *, loss_function: RestorationLoss, max_epochs: int, epoch_length: int | None = None, **kwargs: Any
    ) -> None:
        for name, number in (("epochs", max_epochs), ("epoch_length", epoch_length)):
            if number is not None and number < 1:
                raise RefusedInputError(f"{name} is {number}: pass 1 or more")
        super().__init__(
            loss_function=self._loss_of_iteration, max_epochs=max_epochs, epoch_length=epoch_length, **kwargs
        )
        self.restoration_loss = loss_function

    def _loss_of_iteration(self, pred: Tensor, label: Tensor) -> Tensor:
        """What the base class takes for the loss; the image is in the output that it is about to complete."""
        output: dict[str, Tensor] = self.state.output
        # Half precision is for the network; the loss divides by squares that half precision cannot hold.
        with torch.autocast(device_type=pred.device.type, enabled=False):
            loss = self.restoration_loss(output[CommonKeys.IMAGE], pred.float(), label)
        if not torch.isfinite(loss):
            raise DivergedError(
                f"the loss is {loss.item()} at step {self.state.iteration}: lower the learning rate "
                "or clip the gradient"
            )
        return loss
