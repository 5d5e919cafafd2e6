"""One intensity scale for MRI, which has no unit: the same in training, in evaluation and in use."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from bundle.tat.modality import INTENSITY_RANGES, MRI_FOREGROUND_INTENSITY, MRI_FOREGROUND_PERCENTILE, Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.naming_source import naming_source
from bundle.tat.transforms.volume import iter_chunks

MriScale = Literal["percentile", "fixed"]

# Largest ratio of brightness on one scale, between the scans of a pair, and between a volume and those of training.
# Truncation of k-space changes it by 3 %, sequences and coils by a factor below 2, and 8-bit images by a factor of 5.
MAX_RATIO: Final = 4.0
LOWEST: Final = MRI_FOREGROUND_INTENSITY / MAX_RATIO
# A slice alone may show little but air. Even then, this finds a slice that was scaled to [0, 1].
LOWEST_OF_SLICE: Final = LOWEST / 100
# Brighter voxels are clipped.
HIGHEST: Final = INTENSITY_RANGES[Modality.MRI].high

# Entry of an item with the factor of its pair, once it is known.
MRI_FACTOR_KEY: Final = "mri_factor"


class MeasureMriScaled(MapTransform):
    """Find the factor of an MRI pair from its whole volumes, for ``ScaleByModalityd``.

    This is needed where single slices are drawn before they are scaled: a slice has another foreground than its volume.
    Items of other modalities stay unchanged.

    Args:
        keys: scans of the pair, the degraded one first: inference has no other.
        mri_scale: see ``find_mri_factor``.
        degrade: makes a degraded volume from a clean one, only for the measurement; ``None`` where the item has one.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        allow_missing_keys: skip a key that is absent.

    Raises:
        RefusedInputError: see ``find_mri_factor``.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mri_scale: MriScale = "percentile",
        degrade: MapTransform | None = None,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mri_scale = parse_mri_scale(mri_scale)
        self.degrade = degrade
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the factor."""
        d = dict(data)
        if Modality(d[self.modality_key]) is Modality.MRI:
            # With fixed, the factor is known. The measurement only checks the scale, and the clean volume is enough.
            whole = self.degrade(d) if self.degrade is not None and self.mri_scale == "percentile" else d
            d[MRI_FACTOR_KEY] = find_mri_factor([whole[key] for key in self.key_iterator(whole)], self.mri_scale)
        return d


def parse_mri_scale(word: str) -> MriScale:
    """Read the setting ``mri_scale``.

    Raises:
        RefusedInputError: it is neither ``percentile`` nor ``fixed``.
    """
    if word == "percentile":
        return "percentile"
    if word == "fixed":
        return "fixed"
    raise RefusedInputError(f"mri_scale is {word!r}: pass percentile or fixed")


def find_mri_factor(scans: Sequence[Tensor], mri_scale: MriScale) -> float:
    """Factor that brings a scan, or both scans of a pair, to the scale of the training data.

    Args:
        scans: whole volumes in the unit of their files; in a pair, the degraded one comes first.
        mri_scale: ``percentile`` measures the first scan, see ``mri_scale_factor``. ``fixed`` takes the intensities as
            they are, [0, 4095] as in the paper.

    Shape:
        each ``(1, W, H)``, ``(W, H, D)`` or ``(1, W, H, D)``.

    Returns:
        The factor, 1 for ``fixed``.

    Raises:
        RefusedInputError: with ``fixed``, the foreground of a scan is far from that of training. With ``percentile``,
            the scans of a pair are on different scales.
    """
    factor = mri_scale_factor(scans[0]) if mri_scale == "percentile" else 1.0
    for scan in scans:
        with naming_source(scan):
            _check_level(scan, factor, mri_scale)
    return factor


def mri_scale_factor(image: Tensor) -> float:
    """Factor that brings the bright foreground of an MRI volume to its level in training.

    Args:
        image: one whole volume, in arbitrary units.

    Returns:
        Training intensity over the foreground percentile, see ``bundle.tat.modality``; 1 where no voxel is above 0.
    """
    level = foreground_level(image)
    return MRI_FOREGROUND_INTENSITY / level if level > 0 else 1.0


def foreground_level(image: Tensor) -> float:
    """How bright the foreground of a volume is: a percentile of the voxels above the mean.

    Args:
        image: one whole volume, of any shape. A constant one is all foreground.
    """
    threshold = float(torch.as_tensor(image).mean())
    n_foreground = sum(int((chunk > threshold).sum()) for chunk in iter_chunks(image))
    if n_foreground == 0:
        threshold, n_foreground = -math.inf, image.numel()
    n_brightest = n_foreground - round(MRI_FOREGROUND_PERCENTILE / 100 * (n_foreground - 1))
    # The foreground may be most of the volume; no more of it than this is in memory.
    brightest = np.empty(0, dtype=np.float32)
    for chunk in iter_chunks(image):
        brightest = np.append(brightest, chunk[chunk > threshold].numpy(force=True))
        if brightest.size > n_brightest:
            brightest = np.partition(brightest, -n_brightest)[-n_brightest:]
    return float(brightest.min())


def _check_level(scan: Tensor, factor: float, mri_scale: MriScale) -> None:
    """Refuse a scan whose foreground, multiplied by the factor of its pair, is far from that of training."""
    level = foreground_level(scan) * factor
    lowest = LOWEST_OF_SLICE if min(scan.shape[-3:]) == 1 else LOWEST
    is_fixed = mri_scale == "fixed"
    if level <= 0 or lowest <= level <= (HIGHEST if is_fixed else MAX_RATIO * MRI_FOREGROUND_INTENSITY):
        return
    if is_fixed:
        raise RefusedInputError(
            f"the foreground of this MRI reaches {level:.6g}, and mri_scale fixed takes {lowest:g} to {HIGHEST:g}: "
            "pass --mri_scale percentile, which brings each volume to the scale of training"
        )
    raise RefusedInputError(
        f"its foreground is {level / MRI_FOREGROUND_INTENSITY:.3g} times as bright as that of the other scan of its "
        f"pair, more than {MAX_RATIO:g} times apart: bring both scans to one scale"
    )
