"""Reading the header of a PET image as far as SUV needs it; elements that are missing or wrong are refused by name."""

from __future__ import annotations

import math
import re
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset

# Names and numbers for messages. Values that describe the patient are in no message.
TAGS: Final = MappingProxyType(
    {
        "SeriesDate": "Series Date (0008,0021)",
        "AcquisitionDate": "Acquisition Date (0008,0022)",
        "SeriesTime": "Series Time (0008,0031)",
        "AcquisitionTime": "Acquisition Time (0008,0032)",
        "TimezoneOffsetFromUTC": "Timezone Offset From UTC (0008,0201)",
        "PatientWeight": "Patient's Weight (0010,1030)",
        "RadiopharmaceuticalStartTime": "Radiopharmaceutical Start Time (0018,1072)",
        "RadionuclideTotalDose": "Radionuclide Total Dose (0018,1074)",
        "RadionuclideHalfLife": "Radionuclide Half Life (0018,1075)",
        "RadiopharmaceuticalStartDateTime": "Radiopharmaceutical Start DateTime (0018,1078)",
        "ActualFrameDuration": "Actual Frame Duration (0018,1242)",
        "CorrectedImage": "Corrected Image (0028,0051)",
        "RadiopharmaceuticalInformationSequence": "Radiopharmaceutical Information Sequence (0054,0016)",
        "RadionuclideCodeSequence": "Radionuclide Code Sequence (0054,0300)",
        "Units": "Units (0054,1001)",
        "SUVType": "SUV Type (0054,1006)",
        "DecayCorrection": "Decay Correction (0054,1102)",
        "DecayFactor": "Decay Factor (0054,1321)",
        "FrameReferenceTime": "Frame Reference Time (0054,1300)",
    }
)
_ANY_DAY: Final = "20000102"
# Years 1800 to 2999: what de-identification leaves, and far from the ends of ``datetime``.
_DATE_AND_TIME: Final = re.compile(r"((?:1[89]|2\d)\d{6})T(\d{4})(?:(\d{2})(\.\d{1,6})?)?([+-]\d{4})?")


def refused(sentence: str) -> RefusedInputError:
    """The error that a header is refused with, to be raised.

    Args:
        sentence: what is wrong, and how to correct it.

    Returns:
        An error whose message also names the remedy that works for every header.
    """
    return RefusedInputError(f"{sentence}, or pass the series in SUV (Units GML)")


def read_text(holder: Dataset, keyword: str) -> str:
    """A value as text; empty where the element is missing or empty."""
    return str(holder.get(keyword) or "").strip()


def read_number(holder: Dataset, keyword: str) -> float | None:
    """A number, or ``None`` where the element is missing or empty.

    Raises:
        RefusedInputError: it holds something else.
    """
    try:
        value = holder.get(keyword)
        number = None if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise refused(f"{TAGS[keyword]} is not a number: correct it")
    return number


def read_within(holder: Dataset, keyword: str, low: float, high: float, unit: str) -> float:
    """A number that must be there and lie within bounds.

    Raises:
        RefusedInputError: it is missing, 0 or out of bounds.
    """
    value = read_number(holder, keyword)
    if not value:
        raise refused(f"{TAGS[keyword]} is {'missing' if value is None else '0'}: fill it in")
    if not low <= value <= high:
        bound = f"below {low:g}" if value < low else f"above {high:g}"
        raise refused(f"{TAGS[keyword]} is {bound} {unit} (is it in another unit?): write it in {unit}")
    return value


def read_texts(holder: Dataset, keyword: str) -> set[str]:
    """The values of an element as text, in capitals."""
    value = holder.get(keyword) or []
    return {str(name).strip().upper() for name in ([value] if isinstance(value, str) else value)}


def read_duration(image: Dataset) -> float | None:
    """Actual Frame Duration (0018,1242) [s], if it is known."""
    milliseconds = read_number(image, "ActualFrameDuration")
    return milliseconds / 1000 if milliseconds and milliseconds > 0 else None


def read_corrections(image: Dataset) -> set[str]:
    """The corrections that Corrected Image (0028,0051) names."""
    return read_texts(image, "CorrectedImage")


def radiopharmaceutical(image: Dataset) -> Dataset:
    """The one item of Radiopharmaceutical Information Sequence (0054,0016), which tells of the injection.

    Raises:
        RefusedInputError: there is none, or there are several.
    """
    items = image.get("RadiopharmaceuticalInformationSequence") or []
    if len(items) != 1:
        raise refused(
            f"{TAGS['RadiopharmaceuticalInformationSequence']} has {len(items)} items instead of 1, so dose and time "
            "of the injection are unknown: keep the item of the tracer that is seen"
        )
    item: Dataset = items[0]
    return item


def are_dates_removed(image: Dataset) -> bool:
    """Whether neither the series nor the acquisition has a date, as de-identification leaves it."""
    return not (read_text(image, "SeriesDate") or read_text(image, "AcquisitionDate"))


def read_date_and_time(image: Dataset, event: str) -> datetime:
    """Date and time of an event.

    Args:
        image: data set.
        event: ``Series`` or ``Acquisition``.

    Returns:
        With the time zone if the data set names one. Where the dates were removed, on an arbitrary day.

    Raises:
        RefusedInputError: one of the two is missing or unreadable.
    """
    date, time = read_text(image, f"{event}Date"), read_text(image, f"{event}Time")
    if are_dates_removed(image):
        date = _ANY_DAY
    if not (date and time):
        missing = TAGS[f"{event}Time" if date else f"{event}Date"]
        raise refused(
            f"{missing} is missing: pass files that kept it (de-identify by shifting dates, not by removing them)"
        )
    return _parse(date, time, image, f"{TAGS[f'{event}Date']} or {TAGS[f'{event}Time']}")


def parse_date_and_time(text: str, image: Dataset, name: str) -> datetime:
    """Read a value of VR DT.

    Args:
        text: the value, to the minute at least.
        image: data set that it belongs to.
        name: name of the tag, for the message.

    Returns:
        In the time zone of the data set if it names one.

    Raises:
        RefusedInputError: it is no date and time, or has a time zone while the data set, hence the scan, has none.
    """
    return _parse(text[:8], text[8:], image, name)


def clock_of(text: str) -> str:
    """The time of day of a value of VR DT, without its time zone."""
    return re.split(r"[+-]", text[8:])[0]


def has_unknown_zone(text: str, image: Dataset) -> bool:
    """Whether a value of VR DT has a time zone while the data set, hence the scan, has none."""
    return clock_of(text) != text[8:] and not read_text(image, "TimezoneOffsetFromUTC")


def _parse(date: str, time: str, image: Dataset, name: str) -> datetime:
    # ACR-NEMA, and so PS3.5 6.2 for reading, has points in dates and colons in times.
    match = _DATE_AND_TIME.fullmatch(f"{date.replace('.', '')}T{time.replace(':', '')}")
    try:
        day, minutes, seconds, fraction, offset = match.groups() if match else ("",) * 5
        moment = datetime.strptime(f"{day}{minutes}{seconds or '00'}{fraction or '.0'}", "%Y%m%d%H%M%S.%f")
    except ValueError:
        # The value stays out of the message and of the traceback: it is a date.
        raise refused(f"{name} is not a date and time (YYYYMMDD, HHMM[SS]): correct it") from None
    zone = _time_zone(read_text(image, "TimezoneOffsetFromUTC"), TAGS["TimezoneOffsetFromUTC"])
    if not offset:
        return moment.replace(tzinfo=zone)
    if zone is None:
        raise refused(
            f"{name} has a time zone, but {TAGS['TimezoneOffsetFromUTC']} is missing, so the time zone of the scan is "
            f"unknown: fill it in"
        )
    return moment.replace(tzinfo=_time_zone(offset, name)).astimezone(zone)


def _time_zone(offset: str, name: str) -> tzinfo | None:
    """Time zone of an offset ``+HHMM`` or ``-HHMM``, or ``None`` for an empty one."""
    try:
        return datetime.strptime(offset, "%z").tzinfo if offset else None
    except ValueError:
        raise refused(f"{name} is not a time zone (+HHMM or -HHMM): correct it") from None
