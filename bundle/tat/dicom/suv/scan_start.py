"""The time that a PET series is decay corrected to under START, which its header may give in several ways."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from bundle.tat.dicom.private_elements import PrivateElement, private_text
from bundle.tat.dicom.suv.header import (
    TAGS,
    are_dates_removed,
    parse_date_and_time,
    read_date_and_time,
    read_duration,
    read_number,
    read_text,
    refused,
)
from bundle.tat.dicom.suv.nuclides import average_time

if TYPE_CHECKING:
    from pydicom import Dataset

SECONDS_A_DAY: Final = 24 * 3600.0
# Two times are equal if their difference is at most this part of the half-life: it changes SUV by less than 1.4 %.
SAME_TIME: Final = 0.02
# Scanners round the two times differently: the series may seem to start this much after its first acquisition [s].
SERIES_ROUNDING: Final = 2.0
# No scan lasts longer [s]: a private time of its start that is earlier has another date.
LONGEST_SCAN: Final = 6 * 3600.0
# "PET scan_datetime" of GE.
GE_SCAN_TIME: Final = PrivateElement(0x0009, "GEMS_PETD_01", 0x0D)


class Moment(NamedTuple):
    """A time from a header.

    Args:
        time: with a time zone if the header names one.
        assumption: what was assumed, as a sentence; empty where the header is complete.
    """

    time: datetime
    assumption: str = ""


def read_acquisition(image: Dataset) -> datetime:
    """Acquisition Date and Time (0008,0022), (0008,0032).

    Args:
        image: one PET image.

    Returns:
        With the time zone if the data set names one. Where dates were removed, the day that is nearest to the series.

    Raises:
        RefusedInputError: one of them is missing or unreadable.
    """
    acquisition = read_date_and_time(image, "Acquisition")
    if are_dates_removed(image) and read_text(image, "SeriesTime"):
        later = (acquisition - read_date_and_time(image, "Series")).total_seconds()
        acquisition -= timedelta(days=round(later / SECONDS_A_DAY))
    return acquisition


def scan_start(image: Dataset, half_life: float) -> Moment:
    """Time that a series is decay corrected to under START.

    Args:
        image: one PET image.
        half_life: of the nuclide [s].

    Returns:
        Series Date and Time, where the frame's times count from it, or where GE wrote the start of the scan as the
        Acquisition Time of each bed. Where the series was processed later: GE's own scan time, or that of the frame.

    Raises:
        RefusedInputError: the times do not give it.
    """
    acquisition, series = read_acquisition(image), read_date_and_time(image, "Series")
    by_frame = _scan_start_by_frame(image, acquisition, half_life)
    if (series - acquisition).total_seconds() <= SERIES_ROUNDING:
        # Frame Reference Time counts from the series' time, to any moment of the frame.
        leeway = SAME_TIME * half_life + (read_duration(image) or 0.0) / 2
        agrees = by_frame is None or abs((by_frame - series).total_seconds()) <= leeway
        if not agrees and not _is_start_of_scan_in_every_bed(image, series, acquisition, half_life):
            raise refused(
                f"{TAGS['FrameReferenceTime']} does not lead from {TAGS['SeriesTime']} to {TAGS['AcquisitionTime']}, "
                "so the time of the decay correction is unknown: pass the series as the scanner made it"
            )
        return Moment(series)
    if private_text(image, GE_SCAN_TIME):
        return _scan_time_of_ge(image, acquisition)
    if by_frame is None:
        raise refused(
            f"{TAGS['SeriesTime']} is after {TAGS['AcquisitionTime']}, so the series was processed later, and "
            f"{TAGS['FrameReferenceTime']} or {TAGS['ActualFrameDuration']} is missing or 0: pass the series as the "
            "scanner made it"
        )
    return Moment(by_frame)


def _is_start_of_scan_in_every_bed(image: Dataset, series: datetime, acquisition: datetime, half_life: float) -> bool:
    """Whether GE wrote the start of the scan for the start of the bed, and the decay factor confirms it."""
    if not _is_of_ge(image) or abs((acquisition - series).total_seconds()) > SERIES_ROUNDING:
        return False
    offset, decayed = read_number(image, "FrameReferenceTime"), frame_start_by_decay(image, half_life)
    return offset is not None and decayed is not None and abs(decayed - offset / 1000) <= SERIES_ROUNDING


def frame_start_by_decay(image: Dataset, half_life: float) -> float | None:
    """Time [s] from the reference of the decay correction to the start of a frame, by Decay Factor (0054,1321).

    Args:
        image: one PET image.
        half_life: of the nuclide [s].

    Returns:
        ``None`` where the factor or the duration is missing.

    Source:
        DICOM PS3.3 C.8.9.4.1.8.
    """
    factor, duration = read_number(image, "DecayFactor"), read_duration(image)
    if not factor or factor <= 0 or duration is None:
        return None
    return half_life * math.log2(factor) - average_time(duration, half_life)


def _scan_time_of_ge(image: Dataset, acquisition: datetime) -> Moment:
    """GE's private time of the scan; programs that shift dates may miss private elements."""
    start = parse_date_and_time(private_text(image, GE_SCAN_TIME), image, "GE's scan time (0009,xx0D)")
    seconds = (acquisition - start).total_seconds()
    if -SERIES_ROUNDING <= seconds <= LONGEST_SCAN:
        return Moment(start)
    same_day = seconds % SECONDS_A_DAY
    if same_day > LONGEST_SCAN:
        raise refused(
            f"GE's scan time (0009,xx0D) is not within {LONGEST_SCAN / 3600:g} h before the acquisition: pass the "
            "series as the scanner made it"
        )
    return Moment(
        acquisition - timedelta(seconds=same_day),
        "GE's scan time (0009,xx0D) has another date than the acquisition: only its time of day was used",
    )


def _is_of_ge(image: Dataset) -> bool:
    return read_text(image, "Manufacturer").upper().startswith("GE")


def _scan_start_by_frame(image: Dataset, acquisition: datetime, half_life: float) -> datetime | None:
    """Start of the scan by the times of the frame; ``None`` if they do not give it."""
    offset, duration = read_number(image, "FrameReferenceTime"), read_duration(image)
    if offset is None or not 0 <= offset <= 1000 * SECONDS_A_DAY:  # no scan lasts longer
        return None
    scan_start = acquisition - timedelta(milliseconds=offset)
    if _is_of_ge(image):
        return scan_start  # GE counts to the start of the frame, the others to its average time
    if offset == 0 or duration is None:
        return None
    return scan_start + timedelta(seconds=average_time(duration, half_life))
