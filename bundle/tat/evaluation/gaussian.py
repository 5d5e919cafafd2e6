"""The plain filter that a network has to beat: a Gaussian within each slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import SimpleITK
import torch
from numpy.typing import NDArray

from bundle.tat.evaluation.cases import Case
from bundle.tat.metrics.restoration import VolumeScores, evaluate_volume, psnr
from bundle.tat.modality import EVALUATION_WINDOWS, Modality
from bundle.tat.refusal import RefusedInputError

# Standard deviations to choose from [pixels]. 0 leaves the image as it is: where no filter helps, none is applied.
SIGMAS: Final = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 4.0)

# The discrete kernel may lack this much of its sum before it is renormalised, and may be this wide [pixels].
KERNEL_ERROR: Final = 1e-3
KERNEL_WIDTH: Final = 64


@dataclass(frozen=True)
class MethodScores:
    """How one method did on one case.

    Args:
        modality: what was scanned.
        case: name of the case.
        method: ``input`` (nothing done), ``gaussian`` or ``restored``.
        scores: mean scores over the slices.
        sigma: standard deviation of the Gaussian [pixels]; ``None`` for the other methods.
    """

    modality: Modality
    case: str
    method: str
    scores: VolumeScores
    sigma: float | None


def gaussian_baseline(volume: NDArray[np.float32], sigma: float, *, across_slices: bool = False) -> NDArray[np.float32]:
    """Smooth every slice with a discrete Gaussian; edges repeat their last pixel.

    Args:
        volume: intensities ``(H, W, D)``, any unit, slices along the last axis.
        sigma: standard deviation [pixels], the same along both axes of a slice; 0 returns a copy.
        across_slices: whether the third axis is smoothed, too; slices do not mix otherwise.

    Returns:
        The smoothed volume ``(H, W, D)``, in the unit of ``volume``.

    Raises:
        RefusedInputError: ``volume`` is not 3-D, or ``sigma`` is negative or not finite.

    Source:
        Lindeberg 1990, doi:10.1109/34.49051 (the discrete Gaussian), as SimpleITK's ``DiscreteGaussian`` computes it.
    """
    if volume.ndim != 3:
        raise RefusedInputError(f"shape {volume.shape} is not (H, W, D): pass a volume with slices along the last axis")
    if not 0.0 <= sigma < float("inf"):
        raise RefusedInputError(f"sigma {sigma} pixels is not 0 or more: pass a standard deviation")
    if sigma == 0.0:
        return volume.copy()
    # SimpleITK's axes are numpy's in reverse, so the slices lie along its first.
    smooth = SimpleITK.DiscreteGaussian(
        SimpleITK.GetImageFromArray(volume),
        variance=[sigma**2 * across_slices, sigma**2, sigma**2],
        maximumKernelWidth=KERNEL_WIDTH,
        maximumError=KERNEL_ERROR,
        useImageSpacing=False,
    )
    filtered: NDArray[np.float32] = SimpleITK.GetArrayFromImage(smooth)
    return filtered


def best_sigma(
    pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
    modality: Modality,
    *,
    sigmas: Sequence[float] = SIGMAS,
) -> float:
    """Find the Gaussian that scores best on these very data.

    The choice looks at the clean images, which nobody has in use: an oracle, and so an upper bound of what a plain
    Gaussian can reach.

    Args:
        pairs: degraded and clean volumes ``(H, W, D)``, in the modality's unit.
        modality: decides the evaluation window.
        sigmas: standard deviations to choose from [pixels].

    Returns:
        The standard deviation [pixels] with the highest PSNR, averaged over all slices of all volumes.

    Raises:
        RefusedInputError: there is no pair or no sigma, or no slice can be scored.
    """
    if not pairs or not sigmas:
        raise RefusedInputError(f"{len(pairs)} pairs and {len(sigmas)} sigmas leave nothing to choose: pass 1 or more")
    return max(sigmas, key=lambda sigma: _mean_psnr(pairs, modality, sigma))


def compare_methods(cases: Sequence[Case]) -> list[MethodScores]:
    """Score the input, the best plain Gaussian and the restoration of every case.

    Args:
        cases: scans of any modalities; those of one modality share one sigma, that of :func:`best_sigma`.

    Returns:
        Three rows for each case, one modality after the other.

    Raises:
        RefusedInputError: a case has no slice that can be scored.
    """
    rows = []
    for modality in dict.fromkeys(case.modality for case in cases):
        group = [case for case in cases if case.modality is modality]
        sigma = best_sigma([(case.image, case.label) for case in group], modality)
        rows += [row for case in group for row in _compare_on_case(case, sigma)]
    return rows


def _compare_on_case(case: Case, sigma: float) -> list[MethodScores]:
    volumes = {"input": case.image, "gaussian": gaussian_baseline(case.image, sigma), "restored": case.restored}
    label = torch.from_numpy(case.label)
    scores = {
        method: evaluate_volume(torch.from_numpy(volume), label, case.modality) for method, volume in volumes.items()
    }
    return [
        MethodScores(case.modality, case.name, method, scores[method], sigma if method == "gaussian" else None)
        for method in volumes
    ]


def _mean_psnr(
    pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], modality: Modality, sigma: float
) -> float:
    """PSNR [dB] of the filtered images, averaged over the slices that evaluate_volume would average over."""
    window = EVALUATION_WINDOWS[modality]
    scores = []
    for image, label in pairs:
        pred, clean = (
            torch.from_numpy(volume).clamp(window.low, window.high).permute(2, 0, 1).unsqueeze(1)
            for volume in (gaussian_baseline(image, sigma), label)
        )
        data_range = clean.amax(dim=(1, 2, 3)) - clean.amin(dim=(1, 2, 3))
        scored = data_range > 0.0
        if scored.any():
            scores.append(psnr(pred[scored], clean[scored], data_range[scored]))
    if not scores:
        raise RefusedInputError(f"no slice of {len(pairs)} volumes has a label that varies: check unit and modality")
    return float(torch.cat(scores).mean())
