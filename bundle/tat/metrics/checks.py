"""Checks of what is scored: finite images of one shape, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from bundle.tat.refusal import RefusedInputError


def checked_pair(pred: Tensor, label: Tensor, *, n_axes: int = 4) -> tuple[Tensor, Tensor]:
    """Check a prediction and its label, and convert both to float64.

    Args:
        pred: restored images or volume.
        label: clean images or volume, in the same unit.
        n_axes: how many axes both must have: 4 for ``(B, C, H, W)``, 3 for a volume.

    Returns:
        Both as plain float64 tensors, without geometry or gradient.

    Raises:
        RefusedInputError: shapes differ or do not have ``n_axes`` axes, or a value is not finite.
    """
    if pred.shape != label.shape:
        shapes = f"prediction {tuple(pred.shape)} and label {tuple(label.shape)}"
        raise RefusedInputError(f"{shapes} differ in shape: score against the clean image of the same grid")
    if pred.ndim != n_axes or pred.numel() == 0:
        wanted = "(B, C, H, W)" if n_axes == 4 else "a volume with three axes"
        raise RefusedInputError(f"shape {tuple(pred.shape)} is not {wanted}, each of length 1 or more: reshape it")
    for name, image in (("prediction", pred), ("label", label)):
        n_bad = int(image.isfinite().logical_not().sum())
        if n_bad:
            raise RefusedInputError(
                f"{n_bad} of {image.numel()} values of the {name} are NaN or infinite: replace them or crop "
                "the image, since a score needs finite values"
            )
    return _plain(pred), _plain(label)


def checked_range(data_range: float | Tensor, label: Tensor) -> Tensor:
    """Check a data range, and convert it to one value for each image or for all.

    Args:
        data_range: largest minus smallest intensity: one number, or one for each image ``(B,)``.
        label: clean images ``(B, C, H, W)``.

    Returns:
        The range as float64 of shape ``(1,)`` or ``(B,)``, on the label's device.

    Raises:
        RefusedInputError: the number of ranges fits neither, or a range is not positive and finite.
    """
    peak = torch.as_tensor(data_range, dtype=torch.float64, device=label.device).reshape(-1)
    if peak.numel() not in (1, len(label)):
        raise RefusedInputError(f"{peak.numel()} data ranges for {len(label)} images: pass one, or one for each image")
    if not bool((peak.isfinite() & (peak > 0.0)).all()):
        raise RefusedInputError(
            f"data range {peak.tolist()} is not positive and finite: for a constant label pass the width of the "
            "evaluation window, as evaluate_pair does"
        )
    return peak


def one_slice(image: Tensor) -> Tensor:
    """View one slice as a batch of one.

    Args:
        image: ``(H, W)``, or the same with leading axes of length 1.

    Returns:
        A view ``(1, 1, H, W)``.

    Raises:
        RefusedInputError: more than one slice, or fewer than two axes.
    """
    if image.ndim < 2 or image.shape[:-2].numel() != 1:
        raise RefusedInputError(
            f"shape {tuple(image.shape)} is not one slice, (H, W) or (1, 1, H, W): pass slices one by one, "
            "since each has its own data range"
        )
    return image.reshape(1, 1, *image.shape[-2:])


def _plain(image: Tensor) -> Tensor:
    # A MetaTensor would carry its geometry through every operation, and scores have none. One layout in memory is one
    # order of every sum: a volume has exactly the same score from any reader.
    return image.detach().as_subclass(Tensor).to(torch.float64).contiguous()
