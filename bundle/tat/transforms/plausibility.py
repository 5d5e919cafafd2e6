"""Checking whether the values of a scan can be in the unit of its modality."""

from typing import Final

import torch
from torch import Tensor

from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.volume import in_memory_order, iter_chunks

# A slice of 128 x 128 pixels. Fewer voxels may be a crop of one organ that is denser than water everywhere.
MIN_VOXELS_WITH_AIR: Final = 128 * 128

# The brain, the hottest organ that can fill an image, reaches 15 to 20 with FDG; in Bq/ml a body has thousands.
MAX_BODY_SUV: Final = 50.0
# Activity that is spread evenly over the body has SUV 1 everywhere, by definition, so some voxel of a scan exceeds it.
# A volume that was scaled to [0, 1] or is in MBq/ml does not.
MIN_HIGHEST_SUV: Final = 1.0
# This many slices show some organ; fewer may lie in the legs or beside the patient.
MIN_SLICES_WITH_UPTAKE: Final = 10
_TO_SUV: Final = "convert it to SUV by body weight, or pass the factor that does so as --pet_scale"


def check_plausible_hu(volume: Tensor) -> None:
    """Refuse CT values that cannot be Hounsfield units: air, fat and the noise of water lie below 0 HU.

    MRI, PET in SUV and stored values without their rescale intercept have no negative value, so they are found.

    Args:
        volume: one CT scan, of any shape.

    Raises:
        RefusedInputError: the scan has at least ``MIN_VOXELS_WITH_AIR`` voxels, none is below 0, and some are above.
    """
    if volume.numel() < MIN_VOXELS_WITH_AIR:
        return
    lowest, highest = zip(*(torch.aminmax(chunk) for chunk in iter_chunks(volume)), strict=True)
    if float(min(lowest)) >= 0.0 < float(max(highest)):
        raise RefusedInputError(
            f"none of {volume.numel()} voxels is below 0 HU, where every CT scan has air and fat: this is another "
            "modality, or it lacks its rescale intercept. Pass the right modality, or convert it to HU"
        )


def check_plausible_suv(volume: Tensor) -> None:
    """Refuse PET values that cannot be SUV.

    Bq/ml, MBq/ml and values that were scaled to [0, 1] are found. kBq/ml is not found. Its values are 3 to 6 times
    those of SUV, and patients and tracers differ by as much.

    Args:
        volume: one scan in SUV, shape ``(C, W, H[, D])``. Zeros everywhere are allowed.

    Raises:
        RefusedInputError: more than half of the bright voxels exceed ``MAX_BODY_SUV``. Or the scan has at least
            ``MIN_SLICES_WITH_UPTAKE`` slices, and no voxel exceeds ``MIN_HIGHEST_SUV``.
    """
    values = in_memory_order(volume)
    highest = float(values.max()) if values.numel() else 0.0
    if highest <= 0:
        return
    # In a constant volume all voxels are bright.
    mean = min(float(values.mean(dtype=torch.float64)), highest)
    n_bright = int(torch.count_nonzero(values >= mean))
    n_hot = int(torch.count_nonzero(values >= max(mean, MAX_BODY_SUV)))
    if 2 * n_hot > n_bright:
        raise RefusedInputError(
            f"{n_hot} of the {n_bright} bright voxels have {MAX_BODY_SUV:g} or more, which no body has in SUV: this "
            f"PET is in Bq/ml or another unit, {_TO_SUV}"
        )
    n_slices = min(volume.shape[1:]) if volume.ndim == 4 else 1
    if n_slices >= MIN_SLICES_WITH_UPTAKE and highest <= MIN_HIGHEST_SUV:
        raise RefusedInputError(
            f"the highest of {values.numel()} voxels has {highest:.3g}, but every scan in SUV exceeds "
            f"{MIN_HIGHEST_SUV:g}: this PET was scaled or is in another unit, {_TO_SUV}"
        )
