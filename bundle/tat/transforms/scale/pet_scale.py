"""The factor that brings PET to SUV: the user's setting, or the factor of the scan's sidecar."""

import logging
from typing import Final

from monai.data import MetaTensor

from bundle.tat.data.pet_sidecar import sidecar_suv_factor
from bundle.tat.data.sidecar import Sidecar
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

# Entries of an image's metadata: the factor that its sidecar gives, or why it gives none.
SUV_FACTOR_KEY: Final = "suv_factor"
SUV_REFUSAL_KEY: Final = "suv_refusal"
# Default of ``pet_scale``.
NOT_SET: Final = 1.0


def note_suv_factor(image: object, sidecar: Sidecar) -> None:
    """Write into the metadata of a PET image what its sidecar says about SUV.

    Args:
        image: a ``MetaTensor``; anything else has no metadata.
        sidecar: of the image.
    """
    if not isinstance(image, MetaTensor):
        return
    try:
        factor = sidecar_suv_factor(sidecar)
    except RefusedInputError as refusal:
        image.meta[SUV_REFUSAL_KEY] = str(refusal)
    else:
        if factor is not None:
            image.meta[SUV_FACTOR_KEY] = factor


def resolve_pet_scale(image: object, pet_scale: float) -> float:
    """The factor that brings a PET image to SUV; dividing by it gives the unit of its file again.

    Args:
        image: PET, with the entries of ``note_suv_factor`` if it has a sidecar.
        pet_scale: the user's setting, which overrides the sidecar; 1 is no setting.

    Returns:
        The factor; 1 where neither names the unit.

    Raises:
        RefusedInputError: without a setting, the sidecar names another unit than SUV but gives no factor. Or there is a
            setting for DICOM, which is in SUV after reading.
    """
    meta = image.meta if isinstance(image, MetaTensor) else {}
    told = meta.get(SUV_FACTOR_KEY)
    if pet_scale == NOT_SET:
        if SUV_REFUSAL_KEY in meta:
            raise RefusedInputError(str(meta[SUV_REFUSAL_KEY]))
        return NOT_SET if told is None else float(told)
    # Only DICOM names its modality in the file.
    if meta.get("modality"):
        raise RefusedInputError(f"pet_scale is {pet_scale}: leave it out, the header of DICOM gives the factor to SUV")
    if told is not None:
        logger.warning("pet_scale %g is used, not the factor %g of the sidecar", pet_scale, told)
    elif SUV_REFUSAL_KEY in meta:
        logger.info("pet_scale %g is used, since the sidecar gives no factor to SUV", pet_scale)
    return pet_scale
