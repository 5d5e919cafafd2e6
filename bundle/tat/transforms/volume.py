"""Checking what TAT can restore: one channel, three dimensions, finite numbers."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.naming_source import naming_source

_N_SPATIAL = 3

# Voxels that are processed together: intermediate results need 16 MiB in float32, not the memory of a whole volume.
CHUNK_SIZE: Final = 2**22


def memory_order(image: Tensor) -> list[int]:
    """The axes of an image in the order of their strides in memory, the largest first.

    Args:
        image: of any shape.
    """
    strides = image.stride()
    return sorted(range(image.ndim), key=lambda axis: -strides[axis])


def slowest_axis(image: Tensor) -> int:
    """The axis whose planes lie one after the other in memory.

    Args:
        image: of one dimension or more.
    """
    return max(range(image.ndim), key=lambda axis: (image.shape[axis] > 1, image.stride(axis)))


def plain_tensor(image: Tensor) -> Tensor:
    """An image without its metadata, sharing its memory.

    Args:
        image: a tensor or ``MetaTensor``.
    """
    return image.as_tensor() if isinstance(image, MetaTensor) else image


def in_memory_order(image: Tensor) -> Tensor:
    """A view of an image in the order of its voxels in memory: PyTorch reduces other orders through a copy.

    Args:
        image: a tensor or ``MetaTensor``.
    """
    plain = plain_tensor(image)
    return plain.permute(*memory_order(plain))


def can_be_changed(image: Tensor) -> bool:
    """Whether PyTorch can change an image in place: it cannot change inference tensors outside of inference mode.

    Args:
        image: a tensor or ``MetaTensor``.
    """
    return torch.is_inference_mode_enabled() or not image.is_inference()


def iter_chunks(image: Tensor, order: Sequence[int] | None = None) -> tuple[Tensor, ...]:
    """The voxels of an image, in parts that share its memory.

    Args:
        image: of any shape; an image that is not contiguous is copied.
        order: of the axes, for images that are processed together; the order in memory by default.

    Returns:
        One-dimensional tensors without metadata, which together hold each voxel once.
    """
    ordered = in_memory_order(image) if order is None else plain_tensor(image).permute(*order)
    return torch.split(ordered.reshape(-1), CHUNK_SIZE)


class EnsureScalarVolumed(MapTransform, InvertibleTransform):
    """Refuse images that are no scalar volume of finite numbers, and give a single slice its third dimension.

    The inverse removes the third dimension again.

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
        """Remove the dimension that was added."""
        d = dict(data)
        for key in self.key_iterator(d):
            n_spatial = self.pop_transform(d[key])["extra_info"]["n_spatial"]
            if n_spatial < _N_SPATIAL:
                d[key] = d[key].squeeze(-1)
        return d


def check_volume(image: Tensor) -> None:
    """Refuse an image that TAT cannot restore.

    Args:
        image: ``(C, W, H)`` or ``(C, W, H, D)``.

    Raises:
        RefusedInputError: see ``EnsureScalarVolumed``.
    """
    check_shape(image.shape)
    n_bad = image.numel() - sum(int(torch.isfinite(chunk).sum()) for chunk in iter_chunks(image))
    if n_bad:
        raise RefusedInputError(
            f"{n_bad} of {image.numel()} voxels are NaN or infinite: replace them, as one would spoil its whole slice"
        )


def check_shape(shape: Sequence[int]) -> None:
    """Refuse a shape that no scalar volume has.

    Args:
        shape: ``(C, W, H)`` or ``(C, W, H, D)``.

    Raises:
        RefusedInputError: more than one channel, another number of dimensions, or no voxels.
    """
    n_channels, *spatial = shape
    if len(spatial) not in (_N_SPATIAL - 1, _N_SPATIAL) or n_channels != 1:
        text = " x ".join(str(size) for size in (*spatial, n_channels))
        raise RefusedInputError(f"image of {text} has a fourth dimension or colours: pass one scalar volume at a time")
    if 0 in spatial:
        raise RefusedInputError(f"image of shape {tuple(spatial)} has no voxels: pass a file with at least one")
