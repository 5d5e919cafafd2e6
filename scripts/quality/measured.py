"""Gain and measures of each case: the gain needs the clean slices, the measures do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bundle.tat.inferers.representation import recorded_representations
from bundle.tat.metrics.regions import Regions, find_regions, to_blocks
from bundle.tat.modality import EVALUATION_WINDOWS, INTENSITY_RANGES, Modality
from bundle.tat.quality.measures import CaseMeasures, SliceMeasures, measure_slice
from scripts.quality.cases import KnownCase, Slices

# Smaller differences are not visible [dB]: such cases are neither better nor worse.
TOLERANCE: Final = 0.05
EDGE_TOLERANCE: Final = 0.2
# Approximate number of pixels of a case whose error is kept.
N_ERRORS: Final = 1000


@dataclass(frozen=True)
class MeasuredCase:
    """A case of known gain.

    Args:
        case: name, condition, subject.
        measures: measures without the clean slices, as for any scan.
        vectors: task representation of each slice ``(N, 4F)``; empty for a network without it.
        gain: PSNR of the restored slices minus that of the input, in the evaluation window [dB].
        edge_gain: decrease of the error at the clean slices' strong edges [dB].
        edge_ratios: error at these edges over that in flat tissue, before and after; noise alone makes 1.
        errors: absolute difference of restored and clean at some pixels of the body ``(N,)``, in the modality's unit.
    """

    case: KnownCase
    measures: CaseMeasures
    vectors: Slices
    gain: float
    edge_gain: float
    edge_ratios: tuple[float, float]
    errors: NDArray[np.float64]

    @property
    def is_harmed(self) -> bool:
        """Whether the restored slices are worse than the input over all pixels."""
        return self.gain < -TOLERANCE

    @property
    def has_harmed_edges(self) -> bool:
        """Whether the restored slices are worse than the input at strong edges."""
        return self.edge_gain < -EDGE_TOLERANCE

    @property
    def gains(self) -> bool:
        """Whether the restored slices are better than the input, and not worse at edges."""
        return self.gain > TOLERANCE and not self.has_harmed_edges


def measure_cases(network: nn.Module, cases: Iterable[KnownCase]) -> Iterator[MeasuredCase]:
    """Restore cases and measure them; those whose clean slices show too little tissue are left out.

    Args:
        network: maps slices in [0, 1] to slices in [0, 1].
        cases: cases to restore.

    Yields:
        The cases, in their order.
    """
    for case in cases:
        with recorded_representations(network) as vectors:
            restored = restore(network, case.image, case.modality)
        measured = [
            found
            for index, slices in enumerate(zip(case.image, restored, strict=True))
            if (found := measure_slice(*slices, case.modality, index=index, kspace_kept=case.kspace_kept))
        ]
        clean_regions = [find_regions(label, case.modality) for label in case.label]
        scores = [
            _scores(*slices, regions, case.modality)
            for *slices, regions in zip(case.image, restored, case.label, clean_regions, strict=True)
            if regions is not None
        ]
        if measured and scores:
            gain, edge_gain, *ratios = (float(np.mean(column)) for column in zip(*scores, strict=True))
            represented = np.concatenate(vectors) if vectors else np.zeros((0, 0), np.float32)
            errors = _errors(restored, case.label, clean_regions)
            yield MeasuredCase(
                case, _of_case(case, measured), represented, gain, edge_gain, (ratios[0], ratios[1]), errors
            )


def restore(network: nn.Module, slices: Slices, modality: Modality) -> Slices:
    """Restore single slices ``(N, H, W)`` in the modality's unit.

    PET, too, is restored in one plane, since a case has no neighbouring slices. The bundle restores PET of nearly cubic
    voxels in its three planes.
    """
    bounds = INTENSITY_RANGES[modality]
    scaled = torch.from_numpy((slices - bounds.low) / bounds.width).clamp(0.0, 1.0)[:, None]
    with torch.inference_mode():
        restored = network(scaled)[:, 0] * bounds.width + bounds.low
    return restored.clamp(min=0.0).numpy() if bounds.low == 0 else restored.numpy()


def _of_case(case: KnownCase, measured: list[SliceMeasures]) -> CaseMeasures:
    return CaseMeasures(
        case.modality,
        len(case.image),
        tuple(measured),
        pixel_sides=(case.pixel_side, case.pixel_side),
        kspace_kept=case.kspace_kept,
    )


def _errors(restored: Slices, label: Slices, clean_regions: Sequence[Regions | None]) -> NDArray[np.float64]:
    """Errors at evenly spaced pixels of the body; ``clean_regions`` are those of the clean slices."""
    bodies = [np.zeros(label.shape[1:], bool) if regions is None else regions.body for regions in clean_regions]
    errors = np.abs(restored - label)[np.stack(bodies)].astype(np.float64)
    return errors[:: max(1, len(errors) // N_ERRORS)]


def _scores(
    image: Slices, restored: Slices, label: Slices, regions: Regions, modality: Modality
) -> tuple[float, float, float, float]:
    """Scores of a slice, whose clean slice has the given regions.

    Returns:
        Gain over all pixels and at strong edges [dB]; error at these edges over that in flat tissue, before and after.
    """
    window = EVALUATION_WINDOWS[modality]
    clip = partial(np.clip, a_min=window.low, a_max=window.high)
    errors = image - label, restored - label
    at_edges = [_error(error[regions.edges]) for error in errors]
    in_flat = [_error(to_blocks(error)[regions.blocks]) for error in errors]
    # PSNR of both is taken over one range, so that it cancels.
    before, after = (_error(clip(slices) - clip(label)) for slices in (image, restored))
    return (
        _decibels(before, after),
        _decibels(*at_edges),
        at_edges[0] / in_flat[0],
        at_edges[1] / in_flat[1],
    )


# Smaller errors count as this share of the range, so that no loss reaches 100 dB.
_LEAST_ERROR: Final = 1e-4


def _error(differences: Slices) -> float:
    """Root mean square of differences; an input without any error counts as having a small one."""
    return max(float(np.sqrt((differences.astype(np.float64) ** 2).mean())), _LEAST_ERROR)


def _decibels(before: float, after: float) -> float:
    """Decrease of an error [dB]."""
    return float(20.0 * np.log10(before / after))
