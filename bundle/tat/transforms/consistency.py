"""Making a restored scan agree with what was measured."""

from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray

from bundle.tat.kspace import truncate_kspace, zero_fill
from bundle.tat.modality import Modality

# Channel and three axes of a volume.
N_AXES: Final = 4


class KspaceConsistencyd(MapTransform):
    """Put the k-space samples that an MRI scan kept back into its restoration; other modalities are left alone.

    The centre of the restored slice's k-space is replaced by that of the degraded slice, so that the network has added
    high frequencies and changed nothing else. It is right where the scan was truncated on the very grid of its pixels,
    as the paper's data are; scanners interpolate and filter, and a magnitude image has lost its phase.

    Args:
        keys: restored images, in the unit and on the grid of the degraded one.
        image_key: the degraded image.
        slice_axis: array axis that the slices are stacked along, counted without the channel.
        factor: one of so many k-space lines was kept along each axis.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H, D)`` or ``(1, W, H)`` -> the same.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        image_key: str = "image",
        *,
        slice_axis: int = -1,
        factor: int = 4,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_key = image_key
        self.slice_axis = slice_axis % 3
        self.factor = factor
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Correct each slice by what its k-space lacks of the measured one."""
        d = dict(data)
        if Modality(d[self.modality_key]) is not Modality.MRI:
            return d
        for key in self.key_iterator(d):
            restored = d[key].clone()
            # A single slice has no axis to stack slices along.
            volume, measured = (
                image if image.ndim == N_AXES else image.unsqueeze(1 + self.slice_axis)
                for image in (restored.as_tensor() if isinstance(restored, MetaTensor) else restored, d[self.image_key])
            )
            for index in range(volume.shape[1 + self.slice_axis]):
                restored_slice = volume.select(1 + self.slice_axis, index)[0]
                measured_slice = measured.select(1 + self.slice_axis, index)[0]
                missing = measured_slice.numpy(force=True) - restored_slice.numpy(force=True)
                correction = real_with_centre_of(missing, self.factor)
                restored_slice += torch.from_numpy(correction).to(restored.device)
            d[key] = restored
        return d


def real_with_centre_of(image: NDArray[np.floating], factor: int) -> NDArray[np.float32]:
    """The real image of least norm whose central k-space is that of the given one.

    Args:
        image: real slice, shape ``(W, H)``.
        factor: one of so many k-space lines is kept along each axis.

    Returns:
        Real slice of the same shape.
    """
    shape = (image.shape[0], image.shape[1])
    centre = truncate_kspace(image, factor=factor)
    real = zero_fill(centre, shape, factor=factor).real
    # A block of even length holds a frequency whose mirror image it lacks; taking the real part halves that one.
    halved = centre - truncate_kspace(real, factor=factor)
    whole: NDArray[np.float32] = real + 2 * zero_fill(halved, shape, factor=factor).real
    return whole
