"""Between physical units and the [0, 1] that the network sees."""

import logging
from collections.abc import Hashable, Mapping
from typing import Any, Literal

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from bundle.tat.modality import (
    INTENSITY_RANGES,
    MRI_FOREGROUND_INTENSITY,
    MRI_FOREGROUND_PERCENTILE,
    IntensityRange,
    Modality,
)
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

MriScale = Literal["percentile", "fixed"]


def to_unit_range(image: Tensor, bounds: IntensityRange, *, scale: float = 1.0) -> Tensor:
    """Clip to physical bounds and bring them to [0, 1]; undone by ``from_unit_range`` but for the clipping.

    Args:
        image: intensities of any shape; ``scale * image`` is in the unit of ``bounds``.
        bounds: what becomes 0 and 1.
        scale: factor that brings the image to the unit of ``bounds``.

    Returns:
        A new tensor in [0, 1].
    """
    return (image * scale).clamp(bounds.low, bounds.high).sub(bounds.low).div(bounds.width)


def from_unit_range(image: Tensor, bounds: IntensityRange, *, scale: float = 1.0) -> Tensor:
    """Bring [0, 1] back to intensities; undoes ``to_unit_range``.

    Args:
        image: values on the network's scale, of any shape.
        bounds: what 0 and 1 stand for.
        scale: the factor that ``to_unit_range`` was given.

    Returns:
        A new tensor in the units that ``to_unit_range`` was given.
    """
    return image.mul(bounds.width).add(bounds.low).div(scale)


def mri_scale_factor(image: Tensor) -> float:
    """Factor that puts the bright foreground of an MRI volume where it was in training.

    Args:
        image: one whole volume, in arbitrary units.

    Returns:
        Training intensity over the foreground percentile, see ``bundle.tat.modality``; 1 without a foreground
        (a constant volume).
    """
    foreground = image[image > image.mean()]
    if foreground.numel() == 0:
        return 1.0
    # torch.quantile stops at 16 million values; the k-th value is the percentile's upper neighbour.
    rank = round(MRI_FOREGROUND_PERCENTILE / 100 * (foreground.numel() - 1)) + 1
    percentile = float(foreground.kthvalue(rank).values)
    return MRI_FOREGROUND_INTENSITY / percentile if percentile > 0 else 1.0


class ScaleByModalityd(MapTransform, InvertibleTransform):
    """Physical units to [0, 1] by the modality's range, and back.

    Values outside the range are clipped, counted, reported in the log and kept in the image's metadata
    (``n_clipped``). The inverse needs nothing but the image: modality and scale travel with it.

    Args:
        keys: images to scale; MRI volumes are all scaled by the factor of the first, so pairs stay pairs.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        mri_scale: ``percentile`` brings each MRI volume to the training scale by its bright foreground; ``fixed``
            takes the intensities as they are, [0, 4095] as in the paper.
        allow_missing_keys: skip a key that is absent.

    Shape:
        any -> the same.

    Raises:
        RefusedInputError: ``mri_scale`` is neither.

    Source:
        Ranges: arXiv:2512.14550, section on data.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality_key: str = "modality",
        mri_scale: MriScale = "percentile",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if mri_scale not in ("percentile", "fixed"):
            raise RefusedInputError(f"mri_scale is {mri_scale!r}: pass percentile or fixed")
        self.modality_key = modality_key
        self.mri_scale = mri_scale

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale each image to [0, 1]."""
        d = dict(data)
        modality = Modality(d[self.modality_key])
        bounds = INTENSITY_RANGES[modality]
        scale: float | None = None
        for key in self.key_iterator(d):
            if scale is None:
                by_foreground = modality is Modality.MRI and self.mri_scale == "percentile"
                scale = mri_scale_factor(d[key]) if by_foreground else 1.0
            d[key] = self._forward(d[key], modality, bounds, scale)
        return d

    def _forward(self, image: MetaTensor, modality: Modality, bounds: IntensityRange, scale: float) -> MetaTensor:
        scaled: MetaTensor = to_unit_range(image, bounds, scale=scale)  # type: ignore[assignment]
        scaled.meta["n_clipped"] = n_clipped = _count_outside(image, bounds, scale)
        if n_clipped:
            logger.warning(
                "%d of %d voxels (%.3g %%) lie outside [%g, %g] %s and were clipped",
                n_clipped, image.numel(), 100 * n_clipped / image.numel(), bounds.low, bounds.high, bounds.unit,
            )  # fmt: skip
        self.push_transform(scaled, extra_info={"modality": modality.value, "scale": scale})  # type: ignore[no-untyped-call]
        return scaled

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Bring each image back to the units that it came in."""
        d = dict(data)
        for key in self.key_iterator(d):
            info = self.pop_transform(d[key])["extra_info"]
            bounds = INTENSITY_RANGES[Modality(info["modality"])]
            d[key] = from_unit_range(d[key], bounds, scale=info["scale"])
        return d


def _count_outside(image: Tensor, bounds: IntensityRange, scale: float) -> int:
    """How many voxels ``to_unit_range`` clips."""
    scaled = image * scale
    return int(torch.count_nonzero((scaled < bounds.low) | (scaled > bounds.high)))
