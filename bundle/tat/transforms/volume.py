"""What TAT can restore: one channel, three dimensions, finite numbers."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import InvertibleTransform, MapTransform

from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.source import naming_source

_N_SPATIAL = 3


class EnsureVolumed(MapTransform, InvertibleTransform):
    """Refuse what is no scalar volume of finite numbers, and give a single slice its third dimension.

    The way back takes the third dimension away again.

    Args:
        keys: keys that hold channel-first images.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H) -> (1, W, H, 1)``; ``(1, W, H, D)`` stays.

    Raises:
        RefusedInputError: more than one channel (a 4-D or colour file), no voxels, NaN or infinite values.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Check each image and make it three-dimensional."""
        d = dict(data)
        for key in self.key_iterator(d):
            image = d[key]
            with naming_source(image):
                check_volume(image)
            n_spatial = image.ndim - 1
            if n_spatial < _N_SPATIAL:
                image = image.unsqueeze(-1)
            self.push_transform(image, extra_info={"n_spatial": n_spatial})  # type: ignore[no-untyped-call]
            d[key] = image
        return d

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Take away the dimension that was added."""
        d = dict(data)
        for key in self.key_iterator(d):
            n_spatial = self.pop_transform(d[key])["extra_info"]["n_spatial"]
            if n_spatial < _N_SPATIAL:
                d[key] = d[key].squeeze(-1)
        return d


def check_volume(image: torch.Tensor) -> None:
    """Refuse an image that TAT cannot restore.

    Args:
        image: ``(C, W, H)`` or ``(C, W, H, D)``.

    Raises:
        RefusedInputError: see ``EnsureVolumed``.
    """
    if image.ndim not in (_N_SPATIAL, _N_SPATIAL + 1) or image.shape[0] != 1:
        shape = " x ".join(str(size) for size in (*image.shape[1:], image.shape[0]))
        raise RefusedInputError(f"image of {shape} has a fourth dimension or colours: pass one scalar volume at a time")
    if image.numel() == 0:
        raise RefusedInputError(f"image of shape {tuple(image.shape[1:])} has no voxels")
    n_bad = int(image.numel() - torch.isfinite(image).sum())
    if n_bad:
        raise RefusedInputError(
            f"{n_bad} of {image.numel()} voxels are NaN or infinite: replace them, one would spoil its whole slice"
        )
