"""PET times as scanners and anonymisation leave them: which are believed, which are assumed, which are refused."""

from datetime import datetime, timedelta

import pytest
from pydicom.dataset import Dataset

from bundle.tat.dicom.suv.factor import suv_assumptions, suv_factor
from bundle.tat.dicom.suv.scan_start import frame_start_by_decay
from bundle.tat.refusal import RefusedInputError
from tests.dicom.suv.test_factor import (
    ABSENT,
    DOSE,
    HALF_LIFE,
    INJECTION,
    SCAN,
    WEIGHT,
    average_time,
    clock,
    day,
    pet_image,
    private,
)

AN_HOUR_LATER = WEIGHT * 1000 / (DOSE * 2 ** (-3600 / HALF_LIFE))
NO_DATES = {"SeriesDate": "", "AcquisitionDate": "", "RadiopharmaceuticalStartDateTime": ABSENT}


def decay_factor(start: float, duration: float) -> float:
    """Decay Factor of a frame: from the reference to its average time."""
    return float(2 ** ((start + average_time(duration, HALF_LIFE)) / HALF_LIFE))


def bed_of_ge(start: float = 909.0, **changes) -> Dataset:
    """A bed of a scanner that writes the start of the scan as the Acquisition Time of each bed."""
    tags = {
        "Manufacturer": "GE MEDICAL SYSTEMS",
        "FrameReferenceTime": 1000 * start,
        "ActualFrameDuration": 300000,
        "DecayFactor": decay_factor(start, 300.0),
        **changes,
    }
    return pet_image(**tags)


@pytest.mark.parametrize("start", [303.0, 486.0, 1213.0])
def test_ge_may_write_the_start_of_the_scan_in_every_bed(start):
    image = bed_of_ge(start)
    assert suv_factor(image) == pytest.approx(AN_HOUR_LATER, rel=1e-9)
    assert suv_assumptions(image) == ()  # the decay factor bears it out
    assert frame_start_by_decay(image, HALF_LIFE) == pytest.approx(start, abs=0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"DecayFactor": ABSENT},
        {"DecayFactor": decay_factor(0.0, 300.0)},  # refers to the start of the frame
        {"ActualFrameDuration": ABSENT},
        {"Manufacturer": "SIEMENS"},
    ],
)
def test_what_does_not_bear_it_out_is_refused(changes):
    with pytest.raises(RefusedInputError, match="does not lead from Series Time"):
        suv_factor(bed_of_ge(**changes))


def dynamic(seconds_before: float, **changes) -> Dataset:
    """A dynamic series that was started so long before the injection."""
    return pet_image(
        scan=INJECTION - timedelta(seconds=seconds_before), **{"SeriesType": ["DYNAMIC", "IMAGE"], **changes}
    )


@pytest.mark.parametrize("seconds", [0.0, 41.0, 600.0])
def test_a_dynamic_scan_may_start_before_the_injection(seconds):
    # Its values are corrected to a time at which the dose would have been larger.
    expected = WEIGHT * 1000 / (DOSE * 2 ** (seconds / HALF_LIFE))
    assert suv_factor(dynamic(seconds)) == pytest.approx(expected, rel=1e-9)
    by_clock = {"RadiopharmaceuticalStartDateTime": ABSENT, "RadiopharmaceuticalStartTime": clock(INJECTION)}
    assert suv_factor(dynamic(seconds, **by_clock)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "image",
    [
        dynamic(41.0, SeriesType=["WHOLE BODY", "IMAGE"]),
        dynamic(41.0, SeriesType=ABSENT),
        dynamic(3700.0),
        dynamic(41.0, DecayCorrection="NONE", CorrectedImage=["ATTN"], ActualFrameDuration=10000),
    ],
)
def test_other_scans_may_not(image):
    with pytest.raises(RefusedInputError, match="puts the injection after the scan"):
        suv_factor(image)


def test_dates_that_were_removed_leave_the_times_of_one_day():
    image = pet_image(**NO_DATES, RadiopharmaceuticalStartTime=clock(INJECTION))
    assert suv_factor(image) == pytest.approx(AN_HOUR_LATER, rel=1e-9)
    assert suv_assumptions(image) == (
        "the dates of the scan were removed: scan and injection were assumed to be on one day",
    )


def test_a_scan_over_midnight_without_dates():
    image = pet_image(
        **NO_DATES,
        SeriesTime="235000",
        AcquisitionTime="000200",
        RadiopharmaceuticalStartTime="225000",
        FrameReferenceTime=1000 * (720 + average_time(120.0, HALF_LIFE)),
        ActualFrameDuration=120000,
    )
    assert suv_factor(image) == pytest.approx(AN_HOUR_LATER, rel=1e-9)
    injected_before = pet_image(
        **NO_DATES, SeriesTime="003000", AcquisitionTime="003000", RadiopharmaceuticalStartTime="233000"
    )
    assert suv_factor(injected_before) == pytest.approx(AN_HOUR_LATER, rel=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"AcquisitionDate": day(SCAN)},  # one of the two dates is there: the header contradicts itself
        {"RadionuclideHalfLife": 282240.0},  # seen days later
        {"RadiopharmaceuticalStartTime": "200000"},
    ],
)
def test_what_a_day_does_not_tell_is_refused_without_dates(changes):
    with pytest.raises(RefusedInputError):
        suv_factor(pet_image(**{**NO_DATES, "RadiopharmaceuticalStartTime": clock(INJECTION), **changes}))


def injected(on: datetime, at: str = clock(INJECTION), **changes) -> Dataset:
    """Both attributes of the injection: a date and its time, and a time of day."""
    tags = {"RadiopharmaceuticalStartDateTime": day(on) + clock(INJECTION), "RadiopharmaceuticalStartTime": at}
    return pet_image(**{**tags, **changes})


@pytest.mark.parametrize("days", [-791, -1, 1, 553])
def test_a_date_that_was_not_shifted_gives_way_to_two_equal_times_of_day(days):
    image = injected(INJECTION + timedelta(days=days))
    assert suv_factor(image) == pytest.approx(AN_HOUR_LATER, rel=1e-9)
    (assumption,) = suv_assumptions(image)
    assert assumption.startswith("the date of the injection is not that of the scan")


def test_a_date_that_can_be_right_is_believed():
    image = injected(INJECTION - timedelta(days=6), RadionuclideHalfLife=282240.0)
    assert suv_factor(image) == pytest.approx(WEIGHT * 1000 / (DOSE * 2 ** (-(6 * 86400 + 3600) / 282240)), rel=1e-9)
    assert suv_assumptions(image) == ()


@pytest.mark.parametrize(
    "image",
    [
        injected(INJECTION + timedelta(days=1), RadiopharmaceuticalStartTime=ABSENT),
        injected(INJECTION - timedelta(days=400), RadionuclideHalfLife=282240.0),
        injected(INJECTION + timedelta(days=1), scan=INJECTION - timedelta(hours=1)),
    ],
)
def test_a_date_of_another_day_is_refused_where_the_time_of_day_does_not_tell(image):
    with pytest.raises(RefusedInputError, match="puts the injection"):
        suv_factor(image)


def test_two_times_of_day_must_agree():
    with pytest.raises(RefusedInputError, match="name different times"):
        suv_factor(injected(INJECTION + timedelta(days=1), at="081530"))


def test_a_time_zone_that_nothing_else_has_gives_way_to_two_equal_times_of_day():
    with_zone = {"RadiopharmaceuticalStartDateTime": day(INJECTION) + clock(INJECTION) + "+0100"}
    image = pet_image(**with_zone, RadiopharmaceuticalStartTime=clock(INJECTION))
    assert suv_factor(image) == pytest.approx(AN_HOUR_LATER, rel=1e-9)
    assert suv_assumptions(image)[0].startswith("the time zone of the scan is unknown")
    with pytest.raises(RefusedInputError, match="has a time zone"):
        suv_factor(pet_image(**with_zone))


def processed_later(scan_time: datetime) -> Dataset:
    """GE's own scan time of a series that was processed in the evening."""
    image = pet_image(
        acquisition=SCAN + timedelta(minutes=12), SeriesTime="200000", Manufacturer="GE", FrameReferenceTime=720000
    )
    return private(image, 0x0009, "GEMS_PETD_01", (0x0D, "DT", day(scan_time) + clock(scan_time)))


@pytest.mark.parametrize("days", [-27, 0, 3])
def test_the_scan_time_of_ge_is_believed_with_any_date(days):
    image = processed_later(SCAN + timedelta(days=days))
    assert suv_factor(image) == pytest.approx(AN_HOUR_LATER, rel=1e-9)
    assert bool(suv_assumptions(image)) == (days != 0)


def test_a_scan_time_that_is_none_of_this_scan_is_refused():
    with pytest.raises(RefusedInputError, match="GE's scan time"):
        suv_factor(processed_later(SCAN + timedelta(hours=8)))


@pytest.mark.parametrize(
    "changes",
    [
        {"SeriesTime": "10:15:30", "AcquisitionTime": "10:15:30"},
        {"SeriesDate": "2019.03.07", "AcquisitionDate": "2019.03.07"},
    ],
)
def test_dates_and_times_as_acr_nema_wrote_them(changes):
    assert suv_factor(pet_image(**changes)) == pytest.approx(AN_HOUR_LATER, rel=1e-9)
    assert suv_assumptions(pet_image(**changes)) == ()
