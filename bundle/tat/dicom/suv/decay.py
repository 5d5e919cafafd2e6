"""How much of the injected activity is left at the time that the values of a PET image refer to."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from bundle.tat.dicom.suv.header import (
    TAGS,
    radiopharmaceutical,
    read_corrections,
    read_duration,
    read_text,
    read_within,
    refused,
)
from bundle.tat.dicom.suv.injection import time_since_injection
from bundle.tat.dicom.suv.nuclides import (
    HALF_LIFE_TOLERANCE,
    LONGEST_HALF_LIFE,
    NUCLIDES,
    SHORTEST_HALF_LIFE,
    average_time,
    decayed_share,
)
from bundle.tat.dicom.suv.scan_start import Moment, read_acquisition, scan_start

if TYPE_CHECKING:
    from pydicom import Dataset


class Remaining(NamedTuple):
    """The share of an injected activity that is left.

    Args:
        share: greater than 0; above 1 where the values refer to a time before the injection.
        assumptions: what was assumed, a sentence each; empty where the header is complete.
    """

    share: float
    assumptions: tuple[str, ...] = ()


def remaining_activity(image: Dataset) -> Remaining:
    """Share of the injected activity that is left at the time that an image's values refer to.

    Args:
        image: one PET image.

    Returns:
        By Decay Correction (0054,1102). ``ADMIN``: 1, the values refer to the injection. ``START``: at the start of
        the scan, see ``scan_start``. ``NONE``: at the average time of the frame. See ``time_since_injection`` for the
        time of the injection.

    Raises:
        RefusedInputError: tags are missing, out of bounds, or contradict each other.

    Source:
        DICOM PS3.3 C.8.9.1.1.5 and C.8.9.4.1.5. QIBA, vendor-neutral pseudo-code for SUV calculation, 2018-06-26. Frame
        Reference Time of GE: Fritsak et al. 2024, arXiv:2410.13348.
    """
    correction = decay_correction(image)
    if correction == "ADMIN":
        return Remaining(1.0)
    item = radiopharmaceutical(image)
    half_life = _half_life(item)
    reference = _average_of_frame(image, half_life) if correction == "NONE" else scan_start(image, half_life)
    uptake = time_since_injection(image, item, reference.time, half_life, may_be_before=correction == "START")
    assumptions = tuple(filter(None, (reference.assumption, uptake.assumption)))
    return Remaining(decayed_share(uptake.seconds, half_life), assumptions)


def _average_of_frame(image: Dataset, half_life: float) -> Moment:
    """The average time of a frame that is not corrected for decay."""
    duration = read_duration(image)
    if duration is None:
        raise refused(f"{TAGS['ActualFrameDuration']} is missing or 0: fill it in")
    return Moment(read_acquisition(image) + timedelta(seconds=average_time(duration, half_life)))


def decay_correction(image: Dataset) -> str:
    """Time that an image's values are corrected to, Decay Correction (0054,1102).

    Args:
        image: one PET image.

    Returns:
        ``START``, ``ADMIN`` or ``NONE``.

    Raises:
        RefusedInputError: it is none of them, or contradicts Corrected Image (0028,0051).
    """
    correction = read_text(image, "DecayCorrection").upper()
    if correction not in ("START", "ADMIN", "NONE"):
        raise refused(f"{TAGS['DecayCorrection']} is {correction or 'missing'}: it must be START, ADMIN or NONE")
    is_named = "DECY" in read_corrections(image)
    if is_named == (correction == "NONE"):
        raise refused(
            f"{TAGS['DecayCorrection']} is {correction}, but {TAGS['CorrectedImage']} "
            f"{'names' if is_named else 'does not name'} DECY: correct the wrong one"
        )
    return correction


def _half_life(item: Dataset) -> float:
    """Half-life [s], that of the nuclide if one is coded."""
    half_life = read_within(item, "RadionuclideHalfLife", SHORTEST_HALF_LIFE, LONGEST_HALF_LIFE, "s")
    codes = {read_text(code, "CodeValue") for code in item.get("RadionuclideCodeSequence") or []}
    for nuclide in NUCLIDES:
        if codes & set(nuclide.codes) and abs(half_life / nuclide.half_life - 1) > HALF_LIFE_TOLERANCE:
            raise refused(
                f"{TAGS['RadionuclideHalfLife']} is {half_life:g} s, but {TAGS['RadionuclideCodeSequence']} names "
                f"{nuclide.name}, which has {nuclide.half_life:g} s: correct the wrong one"
            )
    return half_life
