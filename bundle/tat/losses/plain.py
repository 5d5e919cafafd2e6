"""The ablation's loss: every sample counts alike."""

from torch import Tensor, nn


class PlainL1Loss(nn.Module):
    """Mean absolute error of the prediction, called like ``TaskAdaptiveLoss``.

    Shape:
        image, pred and label ``(B, C, H, W)`` -> scalar.
    """

    def forward(self, image: Tensor, pred: Tensor, label: Tensor) -> Tensor:  # noqa: ARG002 - the task-adaptive loss looks at the image
        """Mean over all pixels of all samples."""
        return (pred - label).abs().mean()
