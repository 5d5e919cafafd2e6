"""Loss weights that follow each sample's difficulty, so that no task dominates the training.

Source:
    Yang et al. 2025, arXiv:2512.14550, task-adaptive loss balancing, as the authors' released code computes it.
    The form is that of uncertainty weighting, Kendall et al. 2018, arXiv:1705.07115.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bundle.tat.losses.sample import MEASURES, DivergedError, SampleLosses
from bundle.tat.networks.context import middle_channels

# Keeps the weight finite where the estimate crosses 0.
EPSILON: Final = 1e-8
N_FEATURES: Final = 3
WIDTH: Final = 16
HIDDEN_WIDTH: Final = 256

_REFERENCE_NAMES: Final = MappingProxyType(
    {
        f"weight_estimator.{theirs}.{kind}": f"estimator.{ours}.{kind}"
        for theirs, ours in (
            ("fc_in", "project_in"),
            ("res_block.norm", "norm"),
            ("res_block.fc1", "expand"),
            ("res_block.fc2", "contract"),
            ("fc_out", "project_out"),
        )
        for kind in ("weight", "bias")
    }
)


class UncertaintyEstimator(nn.Module):
    """Estimates a sample's uncertainty ``s`` from three measures of difficulty: ``(B, 3) -> (B,)``; 1 at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.project_in = nn.Linear(N_FEATURES, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.expand = nn.Linear(WIDTH, HIDDEN_WIDTH)
        self.contract = nn.Linear(HIDDEN_WIDTH, WIDTH)
        self.project_out = nn.Linear(WIDTH, 1)
        nn.init.zeros_(self.project_out.weight)
        nn.init.ones_(self.project_out.bias)

    def forward(self, difficulty: Tensor) -> Tensor:
        """Estimate the uncertainty ``s`` of each sample."""
        features = self.project_in(difficulty)
        features = features + self.contract(F.gelu(self.expand(self.norm(features))))
        return self.project_out(features).squeeze(-1)


class TaskAdaptiveLoss(nn.Module):
    """Loss in which each sample's weight is estimated from its difficulty.

    The loss is the mean over the samples ``i`` of a batch:

    ``L = mean_i[ l_i / (2 s_i^2 + epsilon) + 1/2 log(1 + s_i^2) ]``

    - ``l_i`` is the error of the prediction, in the paper the mean absolute error.
    - ``s_i`` is the uncertainty. It is estimated from the error of the input, the change that the network made, and the
      error of the prediction.
    - ``epsilon`` keeps the weight finite.

    No task is named. The gradient reaches the network through ``l_i`` only.

    Args:
        min_uncertainty: positive bound that takes ``s^2 + min_uncertainty^2`` in place of ``s^2`` in the weight. So no
            weight exceeds ``0.5 / min_uncertainty^2``. With 0, as the authors compute it, the weight explodes where
            ``s`` crosses 0.
        measure: of an error: ``mean_absolute``, as in the authors' code, or ``root_mean_square``, which PSNR follows.

    Shape:
        pred and label ``(B, C, H, W)``, image the same or with its neighbours as further channels -> scalar.

    Raises:
        ValueError: ``min_uncertainty`` is negative, or there is no such ``measure``.
        DivergedError: an error is NaN or infinite; the message gives the number of samples.
    """

    def __init__(self, min_uncertainty: float = 0.0, measure: str = "mean_absolute") -> None:
        super().__init__()
        if min_uncertainty < 0:
            raise ValueError(f"min_uncertainty is {min_uncertainty}: pass 0 or a positive bound")
        if measure not in MEASURES:
            raise ValueError(f"measure is {measure}: pass one of {', '.join(MEASURES)}")
        self.min_uncertainty = min_uncertainty
        self.measure = MEASURES[measure]
        self.estimator = UncertaintyEstimator()

    def forward(self, image: Tensor, pred: Tensor, label: Tensor) -> Tensor:
        """Weighted error of the batch, with the penalty of its weights."""
        return self.sample_losses(image, pred, label).mean()

    def sample_losses(self, image: Tensor, pred: Tensor, label: Tensor) -> SampleLosses:
        """Error, weight and penalty of each sample, for training or for the log."""
        error = self.measure(pred - label)
        assert_finite(error)
        image = middle_channels(image, label.shape[-3])
        difficulty = torch.stack([self.measure(image - label), self.measure(image - pred), error], dim=-1)
        squared = self.estimator(difficulty.detach()).square()
        weight = 0.5 / (squared + self.min_uncertainty**2 + EPSILON)
        return SampleLosses(error=error, weight=weight, penalty=0.5 * torch.log1p(squared))


def assert_finite(error: Tensor) -> None:
    """Refuse errors ``(B,)`` that are NaN or infinite. The host waits for the device here.

    Raises:
        DivergedError: an error is NaN or infinite; the message gives the number of samples.
    """
    n_bad = int((~torch.isfinite(error)).sum())
    if n_bad:
        raise DivergedError(
            f"the loss of {n_bad} of {len(error)} samples is NaN or infinite: lower the learning rate "
            "or clip the gradient"
        )


def from_reference(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of the authors' estimator to those of ``TaskAdaptiveLoss``; undone by ``to_reference``.

    Args:
        state_dict: the authors' parameters, with their ``weight_estimator.`` prefix.

    Returns:
        A state dict for ``TaskAdaptiveLoss``.

    Raises:
        ValueError: names are missing or unexpected; the message lists them.
    """
    return _renamed(state_dict, _REFERENCE_NAMES)


def to_reference(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of ``TaskAdaptiveLoss`` to those of the authors' estimator; undone by ``from_reference``.

    Args:
        state_dict: parameters of a ``TaskAdaptiveLoss``.

    Returns:
        A state dict in the authors' naming.

    Raises:
        ValueError: names are missing or unexpected; the message lists them.
    """
    return _renamed(state_dict, {ours: theirs for theirs, ours in _REFERENCE_NAMES.items()})


def _renamed(state_dict: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    missing, unexpected = sorted(names.keys() - state_dict.keys()), sorted(state_dict.keys() - names.keys())
    if missing or unexpected:
        raise ValueError(
            f"not the parameters of this loss: {len(missing)} missing {missing}, "
            f"{len(unexpected)} unexpected {unexpected}"
        )
    return {names[name]: value for name, value in state_dict.items()}
