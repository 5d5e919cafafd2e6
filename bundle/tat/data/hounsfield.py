"""What every CT scan in Hounsfield units has."""

from typing import Final

from torch import Tensor

from bundle.tat.refusal import RefusedInputError

# A slice of 128 x 128 pixels. Less may be a crop out of one organ, all of it denser than water.
MIN_VOXELS_WITH_AIR: Final = 128 * 128


def check_plausible_hu(volume: Tensor) -> None:
    """Refuse CT values that cannot be Hounsfield units: air, fat and the noise of water lie below 0 HU.

    MRI, PET in SUV, and stored values whose rescale intercept got lost are recognised by it: none of them is negative.

    Args:
        volume: one scan that is taken as CT, of any shape.

    Raises:
        RefusedInputError: none of ``MIN_VOXELS_WITH_AIR`` and more voxels is below 0, and some are above.
    """
    if volume.numel() >= MIN_VOXELS_WITH_AIR and float(volume.min()) >= 0.0 < float(volume.max()):
        raise RefusedInputError(
            f"none of {volume.numel()} voxels is below 0 HU, where every CT scan has air and fat: this is another modality, "
            "or lacks its rescale intercept"
        )
