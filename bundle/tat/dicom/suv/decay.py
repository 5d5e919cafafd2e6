"""How much of the injected activity is left at the time that the values of a PET image refer to."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from bundle.tat.dicom.private_elements import PrivateElement, private_text
from bundle.tat.dicom.suv.header import (
    TAGS,
    parse_date_and_time,
    radiopharmaceutical,
    read_corrections,
    read_date_and_time,
    read_number,
    read_text,
    read_within,
    refused,
)

if TYPE_CHECKING:
    from pydicom import Dataset

# Nuclides of PET lie between rubidium 82 (76 s) and iodine 124 (3.6e5 s).
SHORTEST_HALF_LIFE: Final = 60.0
LONGEST_HALF_LIFE: Final = 1e6
# Published half-lives differ by less than a hundredth; another nuclide or a half-life in minutes by far more.
HALF_LIFE_TOLERANCE: Final = 0.03
# A thousandth of the activity is left then, too little for an image: the times are wrong.
MAX_HALF_LIVES: Final = 10
# Uptake takes one to three hours: a time of injection much further back over midnight is rather a wrong one.
MAX_SECONDS_OVER_MIDNIGHT: Final = 6 * 3600.0
SECONDS_A_DAY: Final = 24 * 3600.0
# Two times are one where the difference changes SUV by less than 1.4 %, which it does in this part of the half-life.
SAME_TIME: Final = 0.02
# Scanners round the two times differently: the series may seem to start so many seconds after its first acquisition.
SERIES_ROUNDING: Final = 2.0
# "PET scan_datetime" of GE.
GE_SCAN_TIME: Final = PrivateElement(0x0009, "GEMS_PETD_01", 0x0D)


class Nuclide(NamedTuple):
    """A nuclide of PET.

    Args:
        name: as messages have it.
        symbol: element and mass number, as PET-BIDS has it.
        codes: Code Value (0008,0100) in SNOMED CT and in the older SNOMED RT, PS3.16 CID 4020.
        half_life: [s].
    """

    name: str
    symbol: str
    codes: tuple[str, str]
    half_life: float


NUCLIDES: Final = (
    Nuclide("carbon 11", "C11", ("40565003", "C-105A1"), 1221.8),
    Nuclide("nitrogen 13", "N13", ("21576001", "C-107A1"), 597.9),
    Nuclide("oxygen 15", "O15", ("129504001", "C-B1038"), 122.2),
    Nuclide("fluorine 18", "F18", ("77004003", "C-111A1"), 6586.2),
    Nuclide("copper 64", "Cu64", ("3932008", "C-127A2"), 45724.0),
    Nuclide("gallium 68", "Ga68", ("35337001", "C-131A3"), 4062.6),
    Nuclide("rubidium 82", "Rb82", ("79197006", "C-159A2"), 76.4),
    Nuclide("zirconium 89", "Zr89", ("63360001", "C-168A4"), 282240.0),
    Nuclide("iodine 124", "I124", ("40937006", "C-114A5"), 360800.0),
)


def remaining_activity(image: Dataset) -> float:
    """Share of the injected activity that is left at the time that an image's values refer to.

    Args:
        image: one PET image.

    Returns:
        Greater than 0 and at most 1, by Decay Correction (0054,1102). ``ADMIN``: 1, the values refer to the injection.
        ``START``: at the start of the scan, that is Series Date and Time; where these are after the acquisition, since
        the series was processed later, GE's own scan time or else Acquisition Time + average time of the frame - Frame
        Reference Time. ``NONE``: at the average time of the frame.

        An injection without a date was on the day of the scan, or on the day before if it would be after the scan.

    Raises:
        RefusedInputError: tags are missing, out of bounds, or contradict each other.

    Source:
        DICOM PS3.3 C.8.9.1.1.5 and C.8.9.4.1.5. QIBA, vendor-neutral pseudo-code for SUV calculation, 2018-06-26. Frame
        Reference Time of GE: Fritsak et al. 2024, arXiv:2410.13348.
    """
    correction = decay_correction(image)
    if correction == "ADMIN":
        return 1.0
    item = radiopharmaceutical(image)
    half_life = _half_life(item)
    acquisition = read_date_and_time(image, "Acquisition")
    if correction == "NONE":
        duration = _duration(image)
        if duration is None:
            raise refused(f"{TAGS['ActualFrameDuration']} is missing or 0: fill it in")
        reference = acquisition + timedelta(seconds=average_time(duration, half_life))
    else:
        reference = _scan_start(image, acquisition, half_life)
    return decayed_share(_seconds_since_injection(image, item, reference, half_life), half_life)


def decayed_share(seconds: float, half_life: float) -> float:
    """Share of an activity that is left after a time.

    Args:
        seconds: the time [s].
        half_life: of the nuclide [s].

    Returns:
        0.5 after one half-life.
    """
    return math.pow(2.0, -seconds / half_life)


def average_time(duration: float, half_life: float) -> float:
    """Time at which the activity is the average over a frame, a little before its middle.

    Args:
        duration: of the frame [s].
        half_life: of the nuclide [s].

    Returns:
        Time after the start of the frame [s].
    """
    decay = math.log(2) * duration / half_life
    return duration / decay * math.log(decay / -math.expm1(-decay))


def decay_correction(image: Dataset) -> str:
    """Time that an image's values are corrected to, Decay Correction (0054,1102).

    Args:
        image: one PET image.

    Returns:
        ``START``, ``ADMIN`` or ``NONE``.

    Raises:
        RefusedInputError: it is none of them, or Corrected Image (0028,0051) says otherwise.
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


def _scan_start(image: Dataset, acquisition: datetime, half_life: float) -> datetime:
    """Time that a series is decay corrected to under START."""
    series = read_date_and_time(image, "Series")
    by_frame = _scan_start_by_frame(image, acquisition, half_life)
    if (series - acquisition).total_seconds() <= SERIES_ROUNDING:
        # Frame Reference Time counts from the series' time, to any moment of the frame.
        leeway = SAME_TIME * half_life + (_duration(image) or 0.0) / 2
        if by_frame is not None and abs((by_frame - series).total_seconds()) > leeway:
            raise refused(
                f"{TAGS['FrameReferenceTime']} does not lead from {TAGS['SeriesTime']} to {TAGS['AcquisitionTime']}, "
                "so the time of the decay correction is unknown: pass the series as the scanner made it"
            )
        return series
    scan_time = private_text(image, GE_SCAN_TIME)
    if scan_time:
        return parse_date_and_time(scan_time, image, "GE's scan time (0009,xx0D)")
    if by_frame is None:
        raise refused(
            f"{TAGS['SeriesTime']} is after {TAGS['AcquisitionTime']}, so the series was processed later, and "
            f"{TAGS['FrameReferenceTime']} or {TAGS['ActualFrameDuration']} is missing or 0: pass the series as the "
            "scanner made it"
        )
    return by_frame


def _scan_start_by_frame(image: Dataset, acquisition: datetime, half_life: float) -> datetime | None:
    """Start of the scan as the frame tells it, or ``None`` if it does not."""
    offset, duration = read_number(image, "FrameReferenceTime"), _duration(image)
    if offset is None or not 0 <= offset <= 1000 * SECONDS_A_DAY:  # no scan lasts longer
        return None
    scan_start = acquisition - timedelta(milliseconds=offset)
    if read_text(image, "Manufacturer").upper().startswith("GE"):
        return scan_start  # GE counts to the start of the frame, the others to its average time
    if offset == 0 or duration is None:
        return None
    return scan_start + timedelta(seconds=average_time(duration, half_life))


def _duration(image: Dataset) -> float | None:
    """Actual Frame Duration (0018,1242) [s], if it is known."""
    milliseconds = read_number(image, "ActualFrameDuration")
    return milliseconds / 1000 if milliseconds and milliseconds > 0 else None


def _seconds_since_injection(image: Dataset, item: Dataset, reference: datetime, half_life: float) -> float:
    """Time [s] from the injection to the reference."""
    with_date = read_text(item, "RadiopharmaceuticalStartDateTime")
    clock = read_text(item, "RadiopharmaceuticalStartTime")
    if with_date:
        name = TAGS["RadiopharmaceuticalStartDateTime"]
        seconds = (reference - parse_date_and_time(with_date, image, name)).total_seconds()
        if clock:
            _check_same_clock(seconds, _seconds_since_clock(image, clock, reference), half_life)
    elif clock:
        name = TAGS["RadiopharmaceuticalStartTime"]
        seconds = _over_midnight(_seconds_since_clock(image, clock, reference), half_life)
    else:
        raise refused(
            f"{TAGS['RadiopharmaceuticalStartDateTime']} and {TAGS['RadiopharmaceuticalStartTime']} are missing in "
            f"{TAGS['RadiopharmaceuticalInformationSequence']}: fill one in there"
        )
    if not 0 <= seconds <= MAX_HALF_LIVES * half_life:
        where = "after the scan" if seconds < 0 else f"more than {MAX_HALF_LIVES} half-lives before the scan"
        raise refused(f"{name} puts the injection {where}: correct the date or the time")
    return seconds


def _seconds_since_clock(image: Dataset, clock: str, reference: datetime) -> float:
    """Time [s] from a time of the reference's day to the reference; negative if it is later."""
    injection = parse_date_and_time(f"{reference:%Y%m%d}{clock}", image, TAGS["RadiopharmaceuticalStartTime"])
    return (reference - injection).total_seconds()


def _over_midnight(seconds: float, half_life: float) -> float:
    """Time [s] since an injection that may have been before midnight, or refused if it may have been days ago."""
    name = TAGS["RadiopharmaceuticalStartTime"]
    if MAX_HALF_LIVES * half_life > SECONDS_A_DAY:
        raise refused(
            f"{name} has no date, and the nuclide lives long enough to be seen days after the injection: fill in "
            f"{TAGS['RadiopharmaceuticalStartDateTime']}"
        )
    if seconds >= 0:
        return seconds
    if seconds + SECONDS_A_DAY > MAX_SECONDS_OVER_MIDNIGHT:
        raise refused(
            f"{name} is after the scan, or more than {MAX_SECONDS_OVER_MIDNIGHT / 3600:g} h before it on the day "
            "before: correct it"
        )
    return seconds + SECONDS_A_DAY


def _check_same_clock(seconds: float, seconds_by_clock: float, half_life: float) -> None:
    """Refuse the two tags of one injection if they name different times of the day."""
    apart = (seconds - seconds_by_clock) % SECONDS_A_DAY
    if min(apart, SECONDS_A_DAY - apart) > SAME_TIME * half_life:
        raise refused(
            f"{TAGS['RadiopharmaceuticalStartDateTime']} and {TAGS['RadiopharmaceuticalStartTime']} name different "
            "times: correct the wrong one"
        )
