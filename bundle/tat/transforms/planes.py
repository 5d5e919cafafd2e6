"""Choosing whether a scan is restored slice by slice or in its three planes."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, Final

from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from bundle.tat.dicom.reader import EVENLY_SPACED
from bundle.tat.inferers.planes import IN_PLANES
from bundle.tat.modality import Modality
from bundle.tat.trained_kind import SIZE_TOLERANCE, TrainedKind

# A slice across the others needs some pixels to show anatomy.
MIN_SIDE: Final = 16
# Longest over shortest side of a voxel. More than in training, where the sides of a PET pixel differ by up to 1.55,
# and in testing, where they differ by up to 1.67.
MAX_STRETCH: Final = 2.0


class ChoosePlanesd(MapTransform):
    """Note in the metadata whether a scan is to be restored in its three planes.

    It is if it is PET of nearly cubic voxels, none of whose sides is larger than the pixels of training. In PET, noise
    looks alike in all planes, and the network was trained in all of them. CT and MRI are made slice by slice, and their
    slices are thick.

    Args:
        keys: images, before padding.
        trained: what the weights were trained on; ``None`` where it is not known, and the sides have no limit.
        enabled: with ``False``, every scan is restored slice by slice.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H[, D])`` -> the same, no voxel is changed.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        trained: TrainedKind | None = None,
        enabled: bool = True,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.trained = trained or TrainedKind({})
        self.enabled = enabled
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Look at modality, voxels and sides."""
        d = dict(data)
        is_pet = Modality(d[self.modality_key]) is Modality.PET
        _, largest = self.trained.pixel_sizes.get(Modality.PET, (0.0, math.inf))
        for key in self.key_iterator(d):
            d[key].meta[IN_PLANES] = self.enabled and is_pet and has_three_planes(d[key], largest)
        return d


def has_three_planes(image: MetaTensor, largest: float = math.inf) -> bool:
    """Whether slices along each axis of a scan show anatomy: evenly spaced, nearly cubic voxels, 16 along each side.

    Args:
        image: ``(1, W, H, D)`` with an affine [mm].
        largest: side of a voxel that is still a pixel as in training [mm].
    """
    sides = image.shape[1:]
    if len(sides) < 3 or min(sides) < MIN_SIDE or not image.meta.get(EVENLY_SPACED, True):
        return False
    longest, shortest = float(image.pixdim.max()), float(image.pixdim.min())
    return longest <= min(MAX_STRETCH * shortest, largest * (1.0 + SIZE_TOLERANCE))
