"""PET in SUV by body weight: the factor that a DICOM header gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from bundle.tat.dicom.private_elements import PrivateElement, private_text
from bundle.tat.dicom.suv.decay import decay_correction, remaining_activity
from bundle.tat.dicom.suv.header import (
    TAGS,
    radiopharmaceutical,
    read_corrections,
    read_text,
    read_within,
    refused,
)
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset

GRAMS_A_KILOGRAM: Final = 1000.0
# Weights [kg] of what is scanned: a rat to the heaviest patient that a table carries.
LIGHTEST: Final = 0.2
HEAVIEST: Final = 500.0
# Injected activities [Bq]: a rat gets about 1e7, a patient 1e8 to 1e9. Written in MBq, all are below 1e5.
LEAST_DOSE: Final = 1e5
GREATEST_DOSE: Final = 1e11

PHILIPS: Final = "Philips PET Private Group"
SUV_SCALE_FACTOR: Final = PrivateElement(0x7053, PHILIPS, 0x00)
ACTIVITY_SCALE_FACTOR: Final = PrivateElement(0x7053, PHILIPS, 0x09)


def suv_factor(image: Dataset) -> float:
    """Factor that brings the rescaled values of one PET image to SUV by body weight [g/ml].

    Dividing by it leads back to the unit of the image.

    Args:
        image: pydicom data set of one PET image. Rescale Slope and Intercept are applied before the factor.

    Returns:
        By Units (0054,1001). ``GML``: 1. ``BQML``: weight [g] over the activity [Bq] that is left of the injected one
        at the time that the values refer to, see ``remaining_activity``. ``CNTS``: Philips' own factor to SUV, or its
        factor to Bq/ml times that of ``BQML``. The activity that remained in the syringe is not subtracted.

    Raises:
        RefusedInputError: another unit; not corrected for attenuation; or a tag that is missing, out of bounds or
            contradicts another. The message names the tag, never the patient's values.

    Source:
        QIBA, vendor-neutral pseudo-code for SUV calculation, 2018-06-26. DICOM PS3.3 C.8.9.1.
    """
    return _factor(image).value


def suv_assumptions(image: Dataset) -> tuple[str, ...]:
    """What ``suv_factor`` assumes where a header is not complete, a sentence each.

    Args:
        image: pydicom data set of one PET image.

    Raises:
        RefusedInputError: see ``suv_factor``.
    """
    return _factor(image).assumptions


class _Factor(NamedTuple):
    value: float
    assumptions: tuple[str, ...] = ()


def _factor(image: Dataset) -> _Factor:
    units = read_text(image, "Units").upper()
    if units == "GML":
        _check_body_weight(image)
        return _Factor(1.0)
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


def _factor_of_activity(image: Dataset) -> _Factor:
    """Factor from Bq/ml to SUV."""
    weight = read_within(image, "PatientWeight", LIGHTEST, HEAVIEST, "kg")
    dose = read_within(radiopharmaceutical(image), "RadionuclideTotalDose", LEAST_DOSE, GREATEST_DOSE, "Bq")
    remaining = remaining_activity(image)
    return _Factor(activity_to_suv(weight, dose, remaining.share), remaining.assumptions)


def activity_to_suv(weight: float, dose: float, share: float) -> float:
    """Factor from Bq/ml to SUV by body weight.

    Args:
        weight: of the body [kg].
        dose: injected activity [Bq].
        share: how much of the dose is left at the time that the values refer to.

    Returns:
        Weight [g] over the activity that is left [Bq].
    """
    return weight * GRAMS_A_KILOGRAM / (dose * share)


def _factor_of_counts(image: Dataset) -> _Factor:
    """Factor from counts to SUV, as Philips gives it."""
    # Philips' factor to SUV presumes values that are corrected for decay.
    is_corrected = decay_correction(image) != "NONE"
    to_suv = _philips_factor(image, SUV_SCALE_FACTOR)
    if to_suv and is_corrected:
        return _Factor(to_suv)
    to_activity = _philips_factor(image, ACTIVITY_SCALE_FACTOR)
    if to_activity:
        of_activity = _factor_of_activity(image)
        return _Factor(to_activity * of_activity.value, of_activity.assumptions)
    usable = "SUV Scale Factor (7053,xx00) or " if is_corrected else ""
    raise refused(
        f"{TAGS['Units']} is CNTS, but no {usable}Activity Concentration Scale Factor (7053,xx09) of {PHILIPS} is "
        "there, or it is 0: pass files that kept the private elements"
    )


def _philips_factor(image: Dataset, element: PrivateElement) -> float:
    """A scale factor of Philips; 0 where it is missing or cannot be used, as Philips itself writes it."""
    try:
        factor = float(private_text(image, element))
    except ValueError:
        return 0.0
    return factor if 0 < factor < math.inf else 0.0
