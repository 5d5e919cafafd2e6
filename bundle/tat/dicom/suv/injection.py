"""How long before the scan the tracer was injected, also where dates were shifted, removed or missed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from bundle.tat.dicom.suv.header import (
    TAGS,
    are_dates_removed,
    clock_of,
    has_unknown_zone,
    parse_date_and_time,
    read_text,
    read_texts,
    refused,
)
from bundle.tat.dicom.suv.nuclides import MAX_HALF_LIVES
from bundle.tat.dicom.suv.scan_start import SAME_TIME, SECONDS_A_DAY

if TYPE_CHECKING:
    from pydicom import Dataset

# Uptake takes one to three hours: a time of injection much earlier, before midnight, is probably wrong.
MAX_SECONDS_OVER_MIDNIGHT: Final = 6 * 3600.0
# A dynamic scan is started before the injection, to record the arrival of the tracer: by minutes, not hours.
MAX_SECONDS_BEFORE_INJECTION: Final = 3600.0


class Uptake(NamedTuple):
    """Time from the injection to the moment that the values refer to.

    Args:
        seconds: negative where a dynamic scan was started before the injection.
        assumption: what was assumed, as a sentence; empty where the header is complete.
    """

    seconds: float
    assumption: str = ""


def time_since_injection(
    image: Dataset, item: Dataset, reference: datetime, half_life: float, *, may_be_before: bool
) -> Uptake:
    """Time from the injection to a reference.

    An injection without a date is placed on the day of the scan, or on the day before if it would be after the scan. So
    is one whose date does not fit the scan, if both of its attributes have the same time of day.

    Args:
        image: one PET image.
        item: item of its injection, see ``radiopharmaceutical``.
        reference: time that the values refer to.
        half_life: of the nuclide [s].
        may_be_before: the reference may lie before the injection, if the series is dynamic.

    Raises:
        RefusedInputError: the attributes are missing, contradict each other, or the time cannot be that of this scan.
    """
    with_date = read_text(item, "RadiopharmaceuticalStartDateTime")
    clock = read_text(item, "RadiopharmaceuticalStartTime")
    earliest = 0.0
    if may_be_before and "DYNAMIC" in read_texts(image, "SeriesType"):
        earliest = -MAX_SECONDS_BEFORE_INJECTION
    if not (with_date or clock):
        raise refused(
            f"{TAGS['RadiopharmaceuticalStartDateTime']} and {TAGS['RadiopharmaceuticalStartTime']} are missing in "
            f"{TAGS['RadiopharmaceuticalInformationSequence']}: fill one in there"
        )
    if with_date and clock:
        return _by_both(image, with_date, clock, reference, half_life, earliest)
    if with_date:
        return Uptake(_checked(_by_date(image, with_date, reference), half_life, earliest))
    seconds = _over_midnight(_by_clock(image, clock, reference), half_life, earliest)
    return Uptake(seconds, _DATES_REMOVED if are_dates_removed(image) else "")


_DATES_REMOVED: Final = "the dates of the scan were removed: scan and injection were assumed to be on one day"
_DATE_OF_ANOTHER_DAY: Final = (
    "the date of the injection is not that of the scan (programs that shift dates may miss those in sequences): only "
    "its time of day was used"
)
_UNKNOWN_ZONE: Final = "the time zone of the scan is unknown: the injection was assumed to be in the same zone"


def _by_both(
    image: Dataset, with_date: str, clock: str, reference: datetime, half_life: float, earliest: float
) -> Uptake:
    """The time by both attributes, which must have the same time of day; the date is used where it fits the scan."""
    by_clock = _by_clock(image, clock, reference)
    if are_dates_removed(image) or has_unknown_zone(with_date, image):
        _check_same_clock(by_clock, _by_clock(image, clock_of(with_date), reference), half_life)
        assumption = _DATES_REMOVED if are_dates_removed(image) else _UNKNOWN_ZONE
        return Uptake(_over_midnight(by_clock, half_life, earliest), assumption)
    seconds = _by_date(image, with_date, reference)
    _check_same_clock(seconds, by_clock, half_life)
    if earliest <= seconds <= MAX_HALF_LIVES * half_life:
        return Uptake(seconds)
    if not 0 <= by_clock < MAX_HALF_LIVES * half_life < SECONDS_A_DAY:
        _checked(seconds, half_life, earliest)
    return Uptake(by_clock, _DATE_OF_ANOTHER_DAY)


def _by_date(image: Dataset, with_date: str, reference: datetime) -> float:
    """Time [s] by the attribute that has a date."""
    name = TAGS["RadiopharmaceuticalStartDateTime"]
    return (reference - parse_date_and_time(with_date, image, name)).total_seconds()


def _by_clock(image: Dataset, clock: str, reference: datetime) -> float:
    """Time [s] from a time of the reference's day to the reference; negative if it is later."""
    injection = parse_date_and_time(f"{reference:%Y%m%d}{clock}", image, TAGS["RadiopharmaceuticalStartTime"])
    return (reference - injection).total_seconds()


def _checked(seconds: float, half_life: float, earliest: float) -> float:
    """A time by a date, or a refusal if it is impossible."""
    if not earliest <= seconds <= MAX_HALF_LIVES * half_life:
        where = "after the scan" if seconds < 0 else f"more than {MAX_HALF_LIVES} half-lives before the scan"
        raise refused(
            f"{TAGS['RadiopharmaceuticalStartDateTime']} puts the injection {where}: correct the date or the time"
        )
    return seconds


def _over_midnight(seconds: float, half_life: float, earliest: float) -> float:
    """Time [s] since an injection that may have been before midnight, or a refusal if it may have been days ago."""
    name = TAGS["RadiopharmaceuticalStartTime"]
    if MAX_HALF_LIVES * half_life > SECONDS_A_DAY:
        raise refused(
            f"{name} has no date, and the nuclide can be measured days after the injection: fill in "
            f"{TAGS['RadiopharmaceuticalStartDateTime']}"
        )
    if seconds >= earliest:
        if seconds > MAX_HALF_LIVES * half_life:
            raise refused(
                f"{name} puts the injection more than {MAX_HALF_LIVES} half-lives before the scan: correct the date or "
                "the time"
            )
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
