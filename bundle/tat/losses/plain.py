"""The loss of the ablation: every sample has the same weight."""

import torch
from torch import Tensor, nn

from bundle.tat.losses.sample import SampleLosses, mean_absolute


class PlainL1Loss(nn.Module):
    """Mean absolute error of the prediction, called like ``TaskAdaptiveLoss``.

    Shape:
        image, pred and label ``(B, C, H, W)`` -> scalar.
    """

    def forward(self, image: Tensor, pred: Tensor, label: Tensor) -> Tensor:
        """Mean over all pixels of all samples."""
        return self.sample_losses(image, pred, label).mean()

    def sample_losses(self, image: Tensor, pred: Tensor, label: Tensor) -> SampleLosses:  # noqa: ARG002 - called alike
        """Error of each sample, all with weight 1."""
        error = mean_absolute(pred - label)
        return SampleLosses(error=error, weight=torch.ones_like(error), penalty=torch.zeros_like(error))
