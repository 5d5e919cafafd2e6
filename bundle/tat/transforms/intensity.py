"""Between physical units and the [0, 1] that the network sees."""

import logging
from collections.abc import Hashable, Mapping
from typing import Any, Final, Literal

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
from bundle.tat.transforms.source import naming_source

logger = logging.getLogger(__name__)

# Padding around a round field of view is a fifth of the image, metal and noise are less. Where most is out of range,
# the numbers are in another unit.
MAX_SHARE_CLIPPED: Final = 0.5

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
        Training intensity over the foreground percentile, see ``bundle.tat.modality``. A constant volume is all
        foreground; 1 where nothing is brighter than 0.
    """
    foreground = image[image > image.mean()]
    if foreground.numel() == 0:
        foreground = image.flatten()
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
        RefusedInputError: ``mri_scale`` is neither, or most of an image is out of range.

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
        with naming_source(image):
            n_clipped = check_range(image, bounds, scale=scale)
        scaled: MetaTensor = to_unit_range(image, bounds, scale=scale)  # type: ignore[assignment]
        scaled.meta["n_clipped"] = n_clipped
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


def check_range(image: Tensor, bounds: IntensityRange, *, scale: float = 1.0) -> int:
    """Count and report the voxels that ``to_unit_range`` clips, and refuse an image that is mostly clipped.

    Args:
        image: intensities.
        bounds: the range.
        scale: factor that brings the image to the unit of ``bounds``.

    Returns:
        Number of voxels outside the range.

    Raises:
        RefusedInputError: so many lie outside that the unit or the modality must be another.
    """
    scaled = image * scale
    n_outside = int(torch.count_nonzero((scaled < bounds.low) | (scaled > bounds.high)))
    share = n_outside / image.numel()
    where = f"[{bounds.low:g}, {bounds.high:g}] {bounds.unit}"
    text = f"{n_outside} of {image.numel()} voxels ({100 * share:.3g} %) lie outside {where}"
    if share > MAX_SHARE_CLIPPED:
        raise RefusedInputError(f"{text}: this is another modality or unit")
    if n_outside:
        logger.warning("%s and were clipped", text)
    return n_outside
