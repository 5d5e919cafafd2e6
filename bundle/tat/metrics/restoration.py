"""PSNR, SSIM and RMSE of restored images in the paper's protocol: physical units, evaluation window, slice by slice.

Everything is computed in float64. A local variance of SSIM is the difference of two nearly equal numbers: the mean of
the squares and the square of the mean. With intensities in the thousands, float32 leaves few correct digits of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from bundle.tat.metrics.checks import checked_pair, checked_range, one_slice
from bundle.tat.modality import EVALUATION_WINDOWS, Modality, parse_modality
from bundle.tat.refusal import RefusedInputError

# Wang et al. 2004: side and standard deviation [pixels] of the Gaussian window, and the stabilising constants.
SSIM_WINDOW_SIZE: Final = 11
SSIM_WINDOW_SIGMA: Final = 1.5
SSIM_K1: Final = 0.01
SSIM_K2: Final = 0.03

# An exact match has no error to divide by. This bound keeps the mean over slices finite.
PSNR_CEILING_DB: Final = 100.0


@dataclass(frozen=True)
class VolumeScores:
    """Scores of one volume, averaged over those of its slices that can be scored.

    Args:
        psnr: mean peak signal-to-noise ratio [dB].
        ssim: mean structural similarity.
        rmse: mean root mean squared error, in the modality's unit.
        n_slices: number of slices in the means.
        n_constant: number of slices that were left out, since their label is constant within the evaluation window.
    """

    psnr: float
    ssim: float
    rmse: float
    n_slices: int
    n_constant: int


def psnr(pred: Tensor, label: Tensor, data_range: float | Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, ``10 log10(data_range^2 / MSE)``.

    Args:
        pred: restored images.
        label: clean images, in the same unit.
        data_range: largest minus smallest intensity, in that unit: one number, or one for each image ``(B,)``.

    Shape:
        pred and label ``(B, C, H, W)`` -> ``(B,)``, float64.

    Returns:
        PSNR [dB], at most ``PSNR_CEILING_DB``, which an exact match gets.

    Raises:
        RefusedInputError: shapes differ or are not 4-D, a value is not finite, or ``data_range`` is not positive.
    """
    pred, label = checked_pair(pred, label)
    peak = checked_range(data_range, label)
    relative_error = (pred - label).square().mean(dim=(1, 2, 3)) / peak.square()
    return -10.0 * torch.log10(relative_error.clamp_min(10.0 ** (-PSNR_CEILING_DB / 10.0)))


def ssim(pred: Tensor, label: Tensor, data_range: float | Tensor) -> Tensor:
    """Structural similarity of each image: the mean of the whole map, with zeros beyond the border.

    MONAI and scikit-image leave the border of the map out, so their values are not comparable with the paper's.

    Args:
        pred: restored images.
        label: clean images, in the same unit.
        data_range: largest minus smallest intensity, in that unit: one number, or one for each image ``(B,)``.

    Shape:
        pred and label ``(B, C, H, W)`` -> ``(B,)``, float64.

    Returns:
        SSIM, 1 for an exact match. Symmetric in ``pred`` and ``label``.

    Raises:
        RefusedInputError: shapes differ or are not 4-D, a value is not finite, or ``data_range`` is not positive.

    Source:
        Wang et al. 2004, doi:10.1109/TIP.2003.819861, eq. 13.
    """
    pred, label = checked_pair(pred, label)
    peak = checked_range(data_range, label).view(-1, 1, 1, 1)
    c1, c2 = (SSIM_K1 * peak).square(), (SSIM_K2 * peak).square()
    maps = torch.stack([pred, label, pred.square(), label.square(), pred * label])
    mean_pred, mean_label, square_pred, square_label, product = _local_mean(maps)
    variances = square_pred - mean_pred.square() + square_label - mean_label.square()
    covariance = product - mean_pred * mean_label
    luminance = (2.0 * mean_pred * mean_label + c1) / (mean_pred.square() + mean_label.square() + c1)
    structure = (2.0 * covariance + c2) / (variances + c2)
    similarity: Tensor = luminance * structure
    return similarity.mean(dim=(1, 2, 3))


def rmse(pred: Tensor, label: Tensor) -> Tensor:
    """Root mean squared error of each image.

    Args:
        pred: restored images.
        label: clean images, in the same unit.

    Shape:
        pred and label ``(B, C, H, W)`` -> ``(B,)``, float64.

    Returns:
        RMSE, in the unit of the images.

    Raises:
        RefusedInputError: shapes differ or are not 4-D, or a value is not finite.
    """
    pred, label = checked_pair(pred, label)
    return (pred - label).square().mean(dim=(1, 2, 3)).sqrt()


def evaluate_pair(pred: Tensor, label: Tensor, modality: Modality | str) -> dict[str, float]:
    """Score one restored slice as the paper does.

    Both images are clipped to the modality's evaluation window. After that, ``data_range`` is the label's largest minus
    its smallest intensity. Where this is 0 (a constant label), it is the width of the window.

    Args:
        pred: restored slice, in the modality's unit.
        label: clean slice, in the modality's unit.
        modality: a modality, or a word that :func:`bundle.tat.modality.parse_modality` knows.

    Shape:
        pred and label ``(H, W)``, or the same with leading axes of length 1, such as ``(1, 1, H, W)``.

    Returns:
        ``psnr`` [dB], ``ssim``, and ``rmse`` in the modality's unit.

    Raises:
        RefusedInputError: shapes differ, more than one slice, a value that is not finite, or an unknown modality.

    Source:
        Yang et al. 2025, arXiv:2512.14550, and the evaluation in github.com/Yaziwel/TAT.
    """
    window = EVALUATION_WINDOWS[parse_modality(modality)]
    pred, label = (image.clamp(window.low, window.high) for image in checked_pair(one_slice(pred), one_slice(label)))
    data_range = _label_range(label) or window.width
    return {
        "psnr": psnr(pred, label, data_range).item(),
        "ssim": ssim(pred, label, data_range).item(),
        "rmse": rmse(pred, label).item(),
    }


def evaluate_slices(
    pred: Tensor, label: Tensor, modality: Modality | str, *, slice_axis: int = -1
) -> dict[int, dict[str, float]]:
    """Score each slice of a restored volume by :func:`evaluate_pair`.

    A slice whose label is constant within the evaluation window, such as air, shows nothing to restore. Its PSNR would
    depend only on the width of the window. Such slices are left out.

    Args:
        pred: restored volume, in the modality's unit.
        label: clean volume, in the modality's unit.
        modality: a modality, or a word that :func:`bundle.tat.modality.parse_modality` knows.
        slice_axis: axis along which the slices lie.

    Shape:
        pred and label three-dimensional; ``(H, W, D)`` for the default ``slice_axis``.

    Returns:
        The scores by the slice's index; one entry or more.

    Raises:
        RefusedInputError: shapes differ or are not 3-D, a value is not finite, or no slice can be scored.
    """
    pred, label = checked_pair(pred, label, n_axes=3)
    window = EVALUATION_WINDOWS[parse_modality(modality)]
    pairs = list(zip(pred.unbind(slice_axis), label.unbind(slice_axis), strict=True))
    scores = {
        index: evaluate_pair(*pair, modality)
        for index, pair in enumerate(pairs)
        if _label_range(pair[1].clamp(window.low, window.high))
    }
    if not scores:
        raise RefusedInputError(
            f"all {len(pairs)} slices have a constant label within [{window.low:g}, {window.high:g}] {window.unit}: "
            "check the label's unit and the modality, since no slice can be scored"
        )
    return scores


def mean_scores(slices: Mapping[int, Mapping[str, float]], *, n_constant: int) -> VolumeScores:
    """Average the scores of :func:`evaluate_slices`.

    Args:
        slices: scores by the slice's index.
        n_constant: how many slices were left out.

    Returns:
        The means and both counts.
    """
    means = {name: sum(score[name] for score in slices.values()) / len(slices) for name in ("psnr", "ssim", "rmse")}
    return VolumeScores(**means, n_slices=len(slices), n_constant=n_constant)


def evaluate_volume(pred: Tensor, label: Tensor, modality: Modality | str, *, slice_axis: int = -1) -> VolumeScores:
    """Score a restored volume: the mean of :func:`evaluate_slices`, with the same arguments and refusals.

    A single image ``(H, W)`` is a volume of one slice.

    Returns:
        The mean scores over the slices that can be scored, and how many were left out as ``n_constant``.
    """
    if label.ndim == 2:
        pred, label = pred.unsqueeze(slice_axis), label.unsqueeze(slice_axis)
    slices = evaluate_slices(pred, label, modality, slice_axis=slice_axis)
    return mean_scores(slices, n_constant=label.shape[slice_axis] - len(slices))


def _label_range(label: Tensor) -> float:
    return float(label.max() - label.min())


def _local_mean(maps: Tensor) -> Tensor:
    """Gaussian-weighted mean around every pixel of ``(..., H, W)``, zeros beyond the border."""
    reach = SSIM_WINDOW_SIZE // 2
    offset = torch.arange(-reach, reach + 1, dtype=maps.dtype, device=maps.device)
    weights = torch.softmax(-offset.square() / (2.0 * SSIM_WINDOW_SIGMA**2), dim=0)
    mean = F.conv2d(maps.reshape(-1, 1, *maps.shape[-2:]), weights.view(1, 1, -1, 1), padding=(reach, 0))
    return F.conv2d(mean, weights.view(1, 1, 1, -1), padding=(0, reach)).reshape(maps.shape)
