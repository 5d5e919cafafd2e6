"""Padding that a header declares: it is no anatomy, and the network must not change it."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any, Final

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from bundle.tat.dicom.padding import PADDING
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.transforms.scale.sparse_voxels import SparseVoxels
from bundle.tat.transforms.volume import can_be_changed, plain_tensor

# Metadata entry: voxels that were set aside.
N_PADDING: Final = "n_padding"


class SetPaddingAsided(MapTransform, InvertibleTransform):
    """Replace declared padding by the lowest value of the anatomy, and restore it exactly at the end.

    Checks, counts and the network see no padding in between.

    Args:
        keys: images in physical units whose metadata may declare padding, as the DICOM reader fills it from
            (0028,0120) and (0028,0121).
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        in_place: change the given images in both directions, instead of copies of them.
        allow_missing_keys: skip a key that is absent.

    Shape:
        any -> the same.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality_key: str = "modality",
        in_place: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.modality_key = modality_key
        self.in_place = in_place

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Take the padding out of each image."""
        d = dict(data)
        for key in self.key_iterator(d):
            image = d[key]
            ranges = json.loads(image.meta.get(PADDING) or "[]") if isinstance(image, MetaTensor) else []
            padding = SparseVoxels.of(image)
            if ranges:
                lowest_allowed = INTENSITY_RANGES[Modality(d[self.modality_key])].low
                image, padding = set_aside(image, ranges, lowest_allowed, in_place=self.in_place)
                image.meta[N_PADDING] = padding.n_voxels
            self.push_transform(image, extra_info={"padding": padding})  # type: ignore[no-untyped-call]
            d[key] = image
        return d

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Put the padding back."""
        d = dict(data)
        for key in self.key_iterator(d):
            padding = self.pop_transform(d[key])["extra_info"]["padding"]
            if padding.n_voxels:
                d[key] = d[key] if self.in_place and can_be_changed(d[key]) else d[key].clone()
                padding.put_into(d[key])
        return d


def set_aside(
    image: MetaTensor, ranges: list[tuple[float, float]], lowest_allowed: float, *, in_place: bool = False
) -> tuple[MetaTensor, SparseVoxels]:
    """Take the padding out of an image.

    Args:
        image: in physical units, of any shape.
        ranges: lowest and highest value of each kind of padding, both included.
        lowest_allowed: lower bound of the value that replaces padding.
        in_place: change the image instead of a copy of it.

    Returns:
        The image in which padding has the lowest value of all other voxels, and the padding. If all voxels are padding,
        the image stays unchanged.
    """
    padding = SparseVoxels.of(image)
    lowest = []
    for index, plane in enumerate(plain_tensor(image).unbind(padding.axis)):
        mask = _is_padding(plane, ranges)
        padding.set_plane(index, mask, plane[mask])
        if not mask.all():
            lowest.append(float(plane[~mask].min()))
    if not lowest:
        return image, SparseVoxels.of(image)
    clean = image if in_place else image.clone()
    padding.fill(clean, max(min(lowest), lowest_allowed))
    return clean, padding


def _is_padding(plane: Tensor, ranges: list[tuple[float, float]]) -> Tensor:
    """Which values lie in one of the ranges."""
    masks = [(plane >= low) & (plane <= high) for low, high in ranges]
    return torch.stack(masks).any(dim=0)
