"""PET in SUV by body weight: the factor that a DICOM header gives, and whether values without one can be SUV."""

import math
from typing import Final

import torch
from torch import Tensor

from bundle.tat.data.dicom_header import Dataset
from bundle.tat.data.suv_decay import decay_correction, remaining_activity
from bundle.tat.data.suv_tags import (
    TAGS,
    radiopharmaceutical,
    read_corrections,
    read_private,
    read_text,
    read_within,
    refused,
)
from bundle.tat.refusal import RefusedInputError

GRAMS_A_KILOGRAM: Final = 1000.0
# Weights [kg] of what is scanned: a rat to the heaviest patient that a table carries.
LIGHTEST: Final = 0.2
HEAVIEST: Final = 500.0
# Injected activities [Bq]: a rat gets some 1e7, a patient 1e8 to 1e9. Written in MBq, all are below 1e5.
LEAST_DOSE: Final = 1e5
GREATEST_DOSE: Final = 1e11

PHILIPS: Final = "Philips PET Private Group"
PHILIPS_GROUP: Final = 0x7053
SUV_SCALE_FACTOR: Final = 0x00
ACTIVITY_SCALE_FACTOR: Final = 0x09

# The brain, the hottest organ that can fill an image, reaches 15 to 20 with FDG; in Bq/ml a body has thousands.
MAX_BODY_SUV: Final = 50.0
# Activity that is spread evenly over the body has SUV 1 everywhere, by definition, so some voxel of a scan exceeds it.
# A volume that was scaled to [0, 1] or is in MBq/ml does not.
MIN_HIGHEST_SUV: Final = 1.0
# So many slices show some organ; fewer may lie in the legs or beside the patient.
MIN_SLICES_WITH_UPTAKE: Final = 10


def suv_factor(image: Dataset) -> float:
    """Factor that brings the rescaled values of one PET image to SUV by body weight [g/ml].

    Dividing by it leads back to the unit of the image.

    Args:
        image: pydicom data set of one PET image. Rescale Slope and Intercept are applied before the factor.

    Returns:
        By Units (0054,1001). ``GML``: 1. ``BQML``: weight [g] over the activity [Bq] that is left of the injected one
        at the time that the values refer to, see ``remaining_activity``. ``CNTS``: Philips' own factor to SUV, or its
        factor to Bq/ml times that of ``BQML``. What remained in the syringe is not subtracted from the dose.

    Raises:
        RefusedInputError: another unit; not corrected for attenuation; or a tag that is missing, out of bounds or
            contradicts another. The message names the tag, never the patient's values.

    Source:
        QIBA, vendor-neutral pseudo-code for SUV calculation, 2018-06-26. DICOM PS3.3 C.8.9.1.
    """
    units = read_text(image, "Units").upper()
    if units == "GML":
        _check_body_weight(image)
        return 1.0
    if units not in ("BQML", "CNTS"):
        raise refused(f"{TAGS['Units']} is {units or 'missing'}: pass PET in Bq/ml (BQML), in counts of Philips (CNTS)")
    if "ATTN" not in read_corrections(image):
        raise refused(
            f"{TAGS['CorrectedImage']} does not name ATTN, and SUV needs correction of attenuation: pass the corrected "
            "series"
        )
    return _factor_of_activity(image) if units == "BQML" else _factor_of_counts(image)


def _check_body_weight(image: Dataset) -> None:
    """Refuse SUV by lean body mass or surface; without SUV Type (0054,1006) it is by body weight."""
    kind = read_text(image, "SUVType").upper()
    if kind not in ("", "BW"):
        raise RefusedInputError(
            f"{TAGS['SUVType']} is {kind}: pass SUV by body weight (BW), or the series in Bq/ml (BQML)"
        )


def _factor_of_activity(image: Dataset) -> float:
    """Factor from Bq/ml to SUV."""
    weight = read_within(image, "PatientWeight", LIGHTEST, HEAVIEST, "kg")
    dose = read_within(radiopharmaceutical(image), "RadionuclideTotalDose", LEAST_DOSE, GREATEST_DOSE, "Bq")
    return weight * GRAMS_A_KILOGRAM / (dose * remaining_activity(image))


def _factor_of_counts(image: Dataset) -> float:
    """Factor from counts to SUV, as Philips gives it."""
    # Philips' factor to SUV presumes values that are corrected for decay.
    is_corrected = decay_correction(image) != "NONE"
    to_suv = _philips_factor(image, SUV_SCALE_FACTOR)
    if to_suv and is_corrected:
        return to_suv
    to_activity = _philips_factor(image, ACTIVITY_SCALE_FACTOR)
    if to_activity:
        return to_activity * _factor_of_activity(image)
    usable = "SUV Scale Factor (7053,xx00) or " if is_corrected else ""
    raise refused(
        f"{TAGS['Units']} is CNTS, but no {usable}Activity Concentration Scale Factor (7053,xx09) of {PHILIPS} is "
        "there, or it is 0: pass files that kept the private elements"
    )


def _philips_factor(image: Dataset, offset: int) -> float:
    """A scale factor of Philips; 0 where there is none that can be used, Philips writes it so too."""
    try:
        factor = float(read_private(image, PHILIPS_GROUP, PHILIPS, offset))
    except ValueError:
        return 0.0
    return factor if 0 < factor < math.inf else 0.0


def check_plausible_suv(volume: Tensor) -> None:
    """Refuse PET values that cannot be SUV.

    Bq/ml, MBq/ml and values that were scaled to [0, 1] are recognised. kBq/ml is not: its values are 3 to 6 times those
    of SUV, which is no more than patients and tracers differ by.

    Args:
        volume: one scan that is taken as SUV, shape ``(C, W, H[, D])``. Zeros everywhere are allowed.

    Raises:
        RefusedInputError: more than half of what is bright exceeds ``MAX_BODY_SUV``, or nothing in a scan of
            ``MIN_SLICES_WITH_UPTAKE`` slices and more exceeds ``MIN_HIGHEST_SUV``.
    """
    values = torch.as_tensor(volume)
    highest = float(values.max()) if values.numel() else 0.0
    if highest <= 0:
        return
    # Of a constant volume everything is bright.
    mean = min(float(values.mean(dtype=torch.float64)), highest)
    n_bright = int(torch.count_nonzero(values >= mean))
    n_hot = int(torch.count_nonzero(values >= max(mean, MAX_BODY_SUV)))
    if 2 * n_hot > n_bright:
        raise RefusedInputError(
            f"{n_hot} of the {n_bright} bright voxels have {MAX_BODY_SUV:g} and more, as no body has in SUV: this "
            "PET is in Bq/ml or another unit, convert it to SUV by body weight"
        )
    n_slices = min(values.shape[1:]) if values.ndim == 4 else 1
    if n_slices >= MIN_SLICES_WITH_UPTAKE and highest <= MIN_HIGHEST_SUV:
        raise RefusedInputError(
            f"the highest of {values.numel()} voxels has {highest:.3g}, and every scan in SUV exceeds "
            f"{MIN_HIGHEST_SUV:g}: this PET was scaled or is in another unit, convert it to SUV by body weight"
        )
