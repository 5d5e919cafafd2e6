"""PET in SUV: worked cases, properties of decay, and one refusal for each header that gives no SUV."""

from datetime import datetime, timedelta

import nibabel
import numpy as np
import pydicom
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from bundle.tat.dicom.suv.decay import remaining_activity
from bundle.tat.dicom.suv.factor import suv_factor
from bundle.tat.dicom.suv.header import TAGS
from bundle.tat.dicom.suv.nuclides import NUCLIDES
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.plausibility import check_plausible_suv
from tests.helper import assert_round_trip
from tests.test_layout import ROOT

HALF_LIFE = 6586.2
INJECTION = datetime(2019, 3, 7, 9, 15, 30)
SCAN = datetime(2019, 3, 7, 10, 15, 30)
WEIGHT, DOSE = 71.3, 351234567.0
# An hour after the injection, 2 ** (-3600 / 6586.2) of the dose is left.
FACTOR = 71300 / (351234567 * 0.68464)

IN_ITEM = (
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadionuclideCodeSequence",
)
ABSENT = object()


def day(moment: datetime) -> str:
    return f"{moment:%Y%m%d}"


def clock(moment: datetime) -> str:
    return f"{moment:%H%M%S.%f}"


def pet_image(*, scan: datetime = SCAN, acquisition: datetime | None = None, **changes) -> Dataset:
    """Header of an image of FDG in Bq/ml, decay corrected to the start of the scan; ``ABSENT`` removes a tag."""
    acquisition = acquisition or scan
    image, item = Dataset(), Dataset()
    image.RadiopharmaceuticalInformationSequence = Sequence([item])
    tags = {
        "PatientName": "Erika^Mustermann",
        "Units": "BQML",
        "CorrectedImage": ["DECY", "ATTN", "SCAT"],
        "DecayCorrection": "START",
        "SeriesDate": day(scan),
        "SeriesTime": clock(scan),
        "AcquisitionDate": day(acquisition),
        "AcquisitionTime": clock(acquisition),
        "PatientWeight": WEIGHT,
        "RadionuclideTotalDose": DOSE,
        "RadionuclideHalfLife": HALF_LIFE,
        "RadiopharmaceuticalStartDateTime": day(INJECTION) + clock(INJECTION),
        **changes,
    }
    with pydicom.config.disable_value_validation():
        for keyword, value in tags.items():
            if value is not ABSENT:
                setattr(item if keyword in IN_ITEM else image, keyword, value)
    return image


def without_date(injection: datetime = INJECTION) -> dict[str, object]:
    return {"RadiopharmaceuticalStartDateTime": ABSENT, "RadiopharmaceuticalStartTime": clock(injection)}


def nuclide_code(code: str) -> Sequence:
    item = Dataset()
    item.CodeValue = code
    return Sequence([item])


def private(image: Dataset, group: int, creator: str | bytes, *elements: tuple[int, str, object], block: int = 0x10):
    image.add_new((group, block), "UN" if isinstance(creator, bytes) else "LO", creator)
    for offset, vr, value in elements:
        image.add_new((group, (block << 8) + offset), vr, value)
    return image


def philips(*elements: tuple[int, str, object], block: int = 0x10, **changes) -> Dataset:
    return private(pet_image(Units="CNTS", **changes), 0x7053, "Philips PET Private Group", *elements, block=block)


def average_time(duration: float, half_life: float) -> float:
    """Moment of a frame at which the activity is the frame's average, by summing over the frame."""
    moments = (np.arange(10_000) + 0.5) * duration / 10_000
    return float(-half_life * np.log2(np.mean(2.0 ** (-moments / half_life))))


def test_activity_becomes_suv_by_the_dose_that_is_left():
    assert suv_factor(pet_image()) == pytest.approx(FACTOR, rel=1e-4)
    assert suv_factor(pet_image(scan=INJECTION)) == pytest.approx(71300 / 351234567, rel=1e-12)


def test_values_that_refer_to_the_injection_are_not_corrected_twice():
    # horosproject/horos issue 653: a phantom of SUV 1 came out as 2.096, 117 minutes after the injection.
    scan = INJECTION + timedelta(seconds=HALF_LIFE * np.log2(2.096))
    activity = DOSE / (WEIGHT * 1000)
    assert activity * suv_factor(pet_image(scan=scan, DecayCorrection="ADMIN")) == pytest.approx(1.0)
    assert activity * suv_factor(pet_image(scan=scan)) == pytest.approx(2.096)


def test_a_late_frame_refers_to_the_start_of_its_scan():
    # rordenlab/dcm2niix issue 983: injection and scan at 16:20, an image of the minutes 50 to 70.
    start = datetime(2025, 11, 7, 16, 20)
    late = pet_image(scan=start, acquisition=start + timedelta(minutes=50), **without_date(start))
    assert suv_factor(late) == pytest.approx(71300 / 351234567, rel=1e-12)


def test_a_series_may_start_a_rounding_error_after_its_first_image():
    scan = datetime(2017, 10, 24, 20, 55, 6)
    image = pet_image(
        scan=scan, acquisition=scan - timedelta(microseconds=15), **without_date(scan - timedelta(hours=1))
    )
    assert suv_factor(image) == pytest.approx(FACTOR, rel=1e-4)


def test_the_injection_is_read_from_the_nested_sequence():
    # QIICR/Slicer-PETDICOMExtension issue 20: the time at the top of the data set is none of the injection.
    image = pet_image()
    image.RadiopharmaceuticalStartTime = "000000"
    assert suv_factor(image) == suv_factor(pet_image())
    del image.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
    with pytest.raises(
        RefusedInputError, match=r"are missing in Radiopharmaceutical Information Sequence \(0054,0016\)"
    ):
        suv_factor(image)


@pytest.mark.parametrize("value", [("DS", "0.000246"), ("UN", b"0.000246"), ("UN", b"2.46e-4\0"), ("LO", " 0.000246 ")])
@pytest.mark.parametrize("block", [0x10, 0x11])
def test_counts_of_philips_have_their_own_factors(value, block):
    # ENHANCE-PET/MOOSE issue 230: (7053,1000) leads to SUV, (7053,1009) to Bq/ml.
    assert suv_factor(philips((0x00, *value), block=block)) == pytest.approx(0.000246)
    to_activity = suv_factor(philips((0x09, *value), block=block))
    assert to_activity == pytest.approx(0.000246 * suv_factor(pet_image()))


def test_a_factor_of_zero_is_none():
    image = philips((0x00, "DS", "0"), (0x09, "DS", "2.5"))
    assert suv_factor(image) == pytest.approx(2.5 * suv_factor(pet_image()))


def test_the_block_is_that_of_the_creator():
    image = private(pet_image(Units="CNTS"), 0x7053, "ANOTHER VENDOR", (0x00, "DS", "7"))
    private(image, 0x7053, b"Philips PET Private Group ", (0x00, "UN", b"3 "), block=0x12)
    assert suv_factor(image) == 3.0


def test_suv_stays_as_it_is():
    image = Dataset()
    image.Units = "GML"
    assert suv_factor(image) == 1.0
    image.SUVType = "BW"
    assert suv_factor(image) == 1.0


def test_a_series_that_was_processed_later_refers_to_the_scan_time_of_ge():
    image = pet_image(SeriesTime="180000", Manufacturer="GE MEDICAL SYSTEMS")
    private(image, 0x0009, "GEMS_PETD_01", (0x0D, "UN", (day(SCAN) + clock(SCAN)).encode()))
    assert suv_factor(image) == pytest.approx(suv_factor(pet_image()), rel=1e-12)


def test_the_scan_time_of_ge_may_have_its_own_time_zone():
    image = pet_image(SeriesTime="180000", TimezoneOffsetFromUTC="+0000", **without_date())
    private(image, 0x0009, "GEMS_PETD_01", (0x0D, "DT", "20190306221530-1200"))
    assert suv_factor(image) == pytest.approx(suv_factor(pet_image()), rel=1e-12)


@given(
    bed=st.floats(0, 1800),
    duration=st.floats(10, 1200),
    nuclide=st.sampled_from([n for n in NUCLIDES if n.half_life > 1000]),
    is_ge=st.booleans(),
)
def test_a_series_that_was_processed_later_refers_to_the_start_that_its_frames_tell(bed, duration, nuclide, is_ge):
    offset = bed + (0 if is_ge else average_time(duration, nuclide.half_life))
    frame = {
        "acquisition": SCAN + timedelta(seconds=bed),
        "FrameReferenceTime": round(offset * 1000, 3),
        "ActualFrameDuration": round(duration * 1000),
        "RadionuclideHalfLife": nuclide.half_life,
        "Manufacturer": "GE MEDICAL SYSTEMS" if is_ge else "SIEMENS",
    }
    by_series = suv_factor(pet_image(**frame))
    by_frame = suv_factor(pet_image(**frame, SeriesTime="180000"))
    assert by_frame == pytest.approx(by_series, rel=1e-6)
    assert by_series == suv_factor(pet_image(RadionuclideHalfLife=nuclide.half_life))


@given(bed=st.floats(0, 1800), duration=st.floats(10, 1200))
def test_uncorrected_values_come_to_the_same_suv(bed, duration):
    start = pet_image()
    raw = pet_image(
        acquisition=SCAN + timedelta(seconds=bed),
        ActualFrameDuration=duration * 1000,
        DecayCorrection="NONE",
        CorrectedImage=["ATTN", "SCAT"],
    )
    decayed_in_the_scan = 2 ** (-(bed + average_time(duration, HALF_LIFE)) / HALF_LIFE)
    assert suv_factor(raw) * decayed_in_the_scan == pytest.approx(suv_factor(start), rel=1e-6)


@given(first=st.integers(0, 7200), second=st.integers(0, 7200))
def test_decay_over_a_delay_is_the_product_of_that_over_its_parts(first, second):
    def after(seconds: int) -> float:
        return remaining_activity(pet_image(scan=INJECTION + timedelta(seconds=seconds))).share

    assert after(first + second) == pytest.approx(after(first) * after(second), rel=1e-12)


@given(hours=st.floats(0, 1000), weight=st.floats(0.2, 500), dose=st.floats(1e5, 1e11))
def test_nothing_decays_until_the_injection(hours, weight, dose):
    image = pet_image(
        scan=INJECTION + timedelta(hours=hours),
        DecayCorrection="ADMIN",
        PatientWeight=weight,
        RadionuclideTotalDose=dose,
    )
    assert suv_factor(image) == pytest.approx(weight * 1000 / dose, rel=1e-12)


@given(
    before=st.timedeltas(timedelta(microseconds=1), timedelta(hours=3)),
    after=st.timedeltas(timedelta(0), timedelta(hours=3)),
)
def test_an_injection_before_midnight_was_on_the_day_before(before, after):
    midnight = datetime(2020, 3, 1)
    scan, injection = midnight + after, midnight - before
    dated = pet_image(scan=scan, RadiopharmaceuticalStartDateTime=day(injection) + clock(injection))
    assert suv_factor(pet_image(scan=scan, **without_date(injection))) == pytest.approx(suv_factor(dated), rel=1e-12)


@pytest.mark.parametrize(
    ("zone", "injection"),
    [
        ("+0100", "20190307091530"),
        ("+0100", "20190307081530+0000"),
        ("-0500", "20190307091530.000000-0500"),
        ("+0530", "20190306234530-0400"),
    ],
)
def test_an_injection_in_another_time_zone_is_the_same_injection(zone, injection):
    image = pet_image(TimezoneOffsetFromUTC=zone, RadiopharmaceuticalStartDateTime=injection)
    assert suv_factor(image) == pytest.approx(suv_factor(pet_image()), rel=1e-12)


@given(fraction=st.integers(0, 999999))
def test_fractions_of_a_second_count(fraction):
    image = pet_image(RadiopharmaceuticalStartDateTime=f"20190307091530.{fraction:06d}")
    expected = 2 ** (-(3600 - fraction / 1e6) / HALF_LIFE)
    assert remaining_activity(image).share == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("time", ["091529.5", "091530", "091531"])
def test_the_two_times_of_an_injection_may_be_rounded(time):
    assert suv_factor(pet_image(RadiopharmaceuticalStartTime=time)) == suv_factor(pet_image())


def test_a_time_to_the_minute_is_enough():
    image = pet_image(RadiopharmaceuticalStartDateTime=ABSENT, RadiopharmaceuticalStartTime="0915")
    assert remaining_activity(image).share == pytest.approx(2 ** (-3630 / HALF_LIFE), rel=1e-12)


def test_a_nuclide_that_lives_for_days_is_seen_days_later():
    image = pet_image(scan=INJECTION + timedelta(days=6), RadionuclideHalfLife=282240.0)
    assert remaining_activity(image).share == pytest.approx(2 ** (-6 * 86400 / 282240), rel=1e-12)


@pytest.mark.parametrize("nuclide", NUCLIDES, ids=lambda nuclide: nuclide.name)
def test_the_half_life_of_a_coded_nuclide_is_taken(nuclide):
    for code in nuclide.codes:
        image = pet_image(
            scan=INJECTION + timedelta(seconds=nuclide.half_life),
            RadionuclideHalfLife=nuclide.half_life * 1.01,
            RadionuclideCodeSequence=nuclide_code(code),
        )
        assert remaining_activity(image).share == pytest.approx(2 ** (-1 / 1.01), rel=1e-6)


@given(
    scan=st.datetimes(INJECTION, INJECTION + timedelta(hours=10)),
    values=st.lists(st.floats(0, 2**20, width=32), min_size=1, max_size=8),
)
def test_dividing_by_the_factor_leads_back(scan, values):
    factor, activity = suv_factor(pet_image(scan=scan)), torch.tensor(values)
    tolerance = float(activity.max()) * 1e-6 + 1e-30
    assert_round_trip(lambda x: x * factor, lambda x: x / factor, activity, tolerance=tolerance)


TWO_TRACERS = Sequence([Dataset(), Dataset()])
REFUSED = {
    "no unit": (pet_image(Units=ABSENT), "Units (0054,1001) is missing: pass PET in Bq/ml (BQML)"),
    "a share of counts": (pet_image(Units="PROPCNTS"), "Units (0054,1001) is PROPCNTS: pass PET in Bq/ml"),
    "a rate of uptake": (pet_image(Units="MLML"), "Units (0054,1001) is MLML: pass"),
    "SUV by surface": (pet_image(Units="CM2ML"), "Units (0054,1001) is CM2ML: pass"),
    "SUV by lean mass": (
        pet_image(Units="GML", SUVType="LBM"),
        "SUV Type (0054,1006) is LBM: pass SUV by body weight (BW), or the series in Bq/ml (BQML)",
    ),
    "no corrections": (
        pet_image(CorrectedImage=ABSENT),
        "Corrected Image (0028,0051) does not name ATTN, and SUV needs",
    ),
    "no correction of attenuation": (
        pet_image(CorrectedImage="DECY"),
        "Corrected Image (0028,0051) does not name ATTN, and SUV needs correction of attenuation: "
        "pass the corrected series",
    ),
    "no attenuation in counts": (
        philips((0, "DS", "1"), CorrectedImage="DECY"),
        "Corrected Image (0028,0051) does not name",
    ),
    "corrected for decay or not": (
        pet_image(CorrectedImage=["ATTN"]),
        "Decay Correction (0054,1102) is START, but Corrected Image (0028,0051) does not name DECY: "
        "correct the wrong one",
    ),
    "not corrected for decay or so": (
        pet_image(DecayCorrection="NONE"),
        "Decay Correction (0054,1102) is NONE, but Corrected Image (0028,0051) names DECY: correct the wrong one",
    ),
    "no decay correction": (
        pet_image(DecayCorrection=ABSENT),
        "Decay Correction (0054,1102) is missing: it must be START, ADMIN or NONE",
    ),
    "unknown decay correction": (pet_image(DecayCorrection="SCAN"), "Decay Correction (0054,1102) is SCAN: it must be"),
    "no factors of Philips": (
        philips(),
        "Units (0054,1001) is CNTS, but no SUV Scale Factor (7053,xx00) or Activity Concentration "
        "Scale Factor (7053,xx09) "
        "of Philips PET Private Group is there, or it is 0: pass files that kept the private elements",
    ),
    "both factors 0": (philips((0, "DS", "0"), (9, "DS", "0")), "Units (0054,1001) is CNTS, but no SUV Scale Factor"),
    "a negative factor": (philips((0, "UN", b"-1 ")), "Units (0054,1001) is CNTS, but no SUV Scale Factor (7053,xx00)"),
    "counts before decay": (
        philips((0, "DS", "1"), DecayCorrection="NONE", CorrectedImage="ATTN"),
        "Units (0054,1001) is CNTS, but no Activity Concentration Scale Factor (7053,xx09) of Philips",
    ),
    "another vendor's block": (
        private(pet_image(Units="CNTS"), 0x7053, "ANOTHER", (0, "DS", "1")),
        "Units (0054,1001) is CNTS, but no SUV Scale Factor (7053,xx00)",
    ),
    "no weight": (pet_image(PatientWeight=ABSENT), "Patient's Weight (0010,1030) is missing: fill it in"),
    "empty weight": (pet_image(PatientWeight=None), "Patient's Weight (0010,1030) is missing: fill it in"),
    "weight 0": (pet_image(PatientWeight=0), "Patient's Weight (0010,1030) is 0: fill it in"),
    "weight in g": (
        pet_image(PatientWeight=71300),
        "Patient's Weight (0010,1030) is above 500 kg (is it in another unit?): write it in kg",
    ),
    "weight in t": (pet_image(PatientWeight=0.0713), "Patient's Weight (0010,1030) is below 0.2 kg (is it"),
    "two weights": (pet_image(PatientWeight=[71.3, 80]), "Patient's Weight (0010,1030) is not a number: correct it"),
    "no injection": (
        pet_image(RadiopharmaceuticalInformationSequence=Sequence([])),
        "Radiopharmaceutical Information Sequence (0054,0016) has 0 items instead of 1",
    ),
    "two tracers": (
        pet_image(RadiopharmaceuticalInformationSequence=TWO_TRACERS),
        "Radiopharmaceutical Information Sequence (0054,0016) has 2 items instead of 1, so dose and "
        "time of the injection "
        "are unknown: keep the item of the tracer that is seen",
    ),
    "no dose": (pet_image(RadionuclideTotalDose=ABSENT), "Radionuclide Total Dose (0018,1074) is missing: fill it in"),
    "dose 0": (pet_image(RadionuclideTotalDose=0), "Radionuclide Total Dose (0018,1074) is 0: fill it in"),
    "dose in MBq": (
        pet_image(RadionuclideTotalDose=351.2),
        "Radionuclide Total Dose (0018,1074) is below 100000 Bq (is it in another unit?): write it in Bq",
    ),
    "negative dose": (pet_image(RadionuclideTotalDose=-3e8), "Radionuclide Total Dose (0018,1074) is below 100000 Bq"),
    "absurd dose": (pet_image(RadionuclideTotalDose=3e14), "Radionuclide Total Dose (0018,1074) is above 1e+11 Bq"),
    "no half-life": (
        pet_image(RadionuclideHalfLife=ABSENT),
        "Radionuclide Half Life (0018,1075) is missing: fill it in",
    ),
    "half-life 0": (pet_image(RadionuclideHalfLife=0), "Radionuclide Half Life (0018,1075) is 0: fill it in"),
    "half-life in hours": (
        pet_image(RadionuclideHalfLife=1.83),
        "Radionuclide Half Life (0018,1075) is below 60 s (is it",
    ),
    "half-life of sodium 22": (
        pet_image(RadionuclideHalfLife=8.2e7),
        "Radionuclide Half Life (0018,1075) is above 1e+06 s",
    ),
    "half-life in minutes": (
        pet_image(RadionuclideHalfLife=109.77, RadionuclideCodeSequence=nuclide_code("C-111A1")),
        "Radionuclide Half Life (0018,1075) is 109.77 s, but Radionuclide Code Sequence (0054,0300) names fluorine 18, "
        "which has 6586.2 s: correct the wrong one",
    ),
    "another nuclide's half-life": (
        pet_image(RadionuclideCodeSequence=nuclide_code("35337001")),
        "Radionuclide Half Life (0018,1075) is 6586.2 s, but Radionuclide Code Sequence (0054,0300) names gallium 68",
    ),
    "no series time": (
        pet_image(SeriesTime=ABSENT),
        "Series Time (0008,0031) is missing: pass files that kept it (de-identify by shifting "
        "dates, not by removing them)",
    ),
    "no acquisition date": (pet_image(AcquisitionDate=ABSENT), "Acquisition Date (0008,0022) is missing: pass files"),
    "a time of words": (
        pet_image(AcquisitionTime="morning"),
        "Acquisition Date (0008,0022) or Acquisition Time (0008,0032) is not a date and time "
        "(YYYYMMDD, HHMM[SS]): correct it",
    ),
    "a day that is none": (
        pet_image(SeriesDate="20190230"),
        "Series Date (0008,0021) or Series Time (0008,0031) is not a date",
    ),
    "the year 1": (
        pet_image(AcquisitionDate="00010101"),
        "Acquisition Date (0008,0022) or Acquisition Time (0008,0032)",
    ),
    "no time zone": (
        pet_image(RadiopharmaceuticalStartDateTime="20190307091530+0100"),
        "Radiopharmaceutical Start DateTime (0018,1078) has a time zone, but Timezone Offset From "
        "UTC (0008,0201) is missing, "
        "so the time zone of the scan is unknown: fill it in",
    ),
    "a time zone of words": (
        pet_image(TimezoneOffsetFromUTC="CET"),
        "Timezone Offset From UTC (0008,0201) is not a time zone (+HHMM or -HHMM): correct it",
    ),
    "no time of injection": (
        pet_image(RadiopharmaceuticalStartDateTime=ABSENT),
        "Radiopharmaceutical Start DateTime (0018,1078) and Radiopharmaceutical Start Time (0018,1072) are missing in "
        "Radiopharmaceutical Information Sequence (0054,0016): fill one in there",
    ),
    "a date alone": (
        pet_image(RadiopharmaceuticalStartDateTime="20190307"),
        "Radiopharmaceutical Start DateTime (0018,1078) is not a date and time",
    ),
    "two times of injection": (
        pet_image(RadiopharmaceuticalStartTime="081530"),
        "Radiopharmaceutical Start DateTime (0018,1078) and Radiopharmaceutical Start Time "
        "(0018,1072) name different times: "
        "correct the wrong one",
    ),
    "injection after the scan": (
        pet_image(scan=INJECTION - timedelta(seconds=1)),
        "Radiopharmaceutical Start DateTime (0018,1078) puts the injection after the scan: correct "
        "the date or the time",
    ),
    "injection on another day": (
        pet_image(scan=SCAN + timedelta(days=1)),
        "Radiopharmaceutical Start DateTime (0018,1078) puts the injection more than 10 half-lives before the scan",
    ),
    "injection in the morning": (
        pet_image(scan=datetime(2019, 3, 7, 23, 59), **without_date(datetime(2019, 3, 7, 0, 1))),
        "Radiopharmaceutical Start Time (0018,1072) puts the injection more than 10 half-lives before the scan",
    ),
    "injection in the evening": (
        pet_image(**without_date(datetime(2019, 3, 6, 21, 15))),
        "Radiopharmaceutical Start Time (0018,1072) is after the scan, or more than 6 h before it "
        "on the day before: correct",
    ),
    "injection on any day": (
        pet_image(RadionuclideHalfLife=45724.0, **without_date()),
        "Radiopharmaceutical Start Time (0018,1072) has no date, and the nuclide can be measured "
        "days after the injection: fill in Radiopharmaceutical Start DateTime (0018,1078)",
    ),
    "processed later": (
        pet_image(SeriesTime="180000", ActualFrameDuration=180000),
        "Series Time (0008,0031) is after Acquisition Time (0008,0032), so the series was processed "
        "later, and Frame Reference "
        "Time (0054,1300) or Actual Frame Duration (0018,1242) is missing or 0: pass the series as the scanner made it",
    ),
    "processed later, no duration": (
        pet_image(SeriesTime="180000", FrameReferenceTime=90000),
        "Series Time (0008,0031) is after Acquisition Time (0008,0032), so the series was processed later",
    ),
    "processed later, frame at 0": (
        pet_image(SeriesTime="180000", FrameReferenceTime=0, ActualFrameDuration=180000),
        "Series Time (0008,0031) is after Acquisition Time (0008,0032), so the series was processed later",
    ),
    "processed between two beds": (
        pet_image(acquisition=SCAN + timedelta(minutes=5), FrameReferenceTime=1290000, ActualFrameDuration=180000),
        "Frame Reference Time (0054,1300) does not lead from Series Time (0008,0031) to Acquisition "
        "Time (0008,0032), so the "
        "time of the decay correction is unknown: pass the series as the scanner made it",
    ),
    "no duration of an uncorrected frame": (
        pet_image(DecayCorrection="NONE", CorrectedImage="ATTN"),
        "Actual Frame Duration (0018,1242) is missing or 0: fill it in",
    ),
    "a scan time of words": (
        private(pet_image(SeriesTime="180000"), 0x0009, "GEMS_PETD_01", (0x0D, "UN", b"noon")),
        "GE's scan time (0009,xx0D) is not a date and time",
    ),
}


@pytest.mark.parametrize(("image", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_gives_no_suv_is_refused_by_name(image, sentence):
    with pytest.raises(RefusedInputError) as refusal:
        suv_factor(image)
    message = str(refusal.value)
    assert message.startswith(sentence)
    if image.get("Units") != "GML":
        assert message.endswith(", or pass the series in SUV (Units GML)")
    of_the_patient = ("Mustermann", "71.3", "0.0713", "351", "2019", "201903", "0915", "1015", "morning", "noon")
    assert not [value for value in of_the_patient if value in message]


@given(
    keyword=st.sampled_from([keyword for keyword in TAGS if not keyword.endswith("Sequence")]),
    value=st.one_of(
        st.text("0123456789.+-eE\\^A ", max_size=16),
        st.integers(-(10**15), 10**15).map(str),
        st.sampled_from(["nan", "inf", "-0", "1e300", "1e-300", "17000101", "29991231", "00010101", "99991231235959"]),
    ),
    correction=st.sampled_from(["START", "NONE"]),
)
@example(keyword="ActualFrameDuration", value="inf", correction="START")
@example(keyword="FrameReferenceTime", value="1e300", correction="START")
def test_whatever_a_tag_holds_there_is_a_factor_or_a_refusal(keyword, value, correction):
    frame = {"FrameReferenceTime": 89858, "ActualFrameDuration": 180000, "SeriesTime": "101531"}
    corrected = ["DECY", "ATTN"] if correction == "START" else ["ATTN"]
    image = pet_image(**frame, DecayCorrection=correction, CorrectedImage=corrected)
    holder = image.RadiopharmaceuticalInformationSequence[0] if keyword in IN_ITEM else image
    tag = Tag(keyword)
    holder[tag] = RawDataElement(tag, dictionary_VR(tag), 16, value.encode(errors="replace"), 0, False, True)
    with pydicom.config.disable_value_validation():
        try:
            factor = suv_factor(image)
        except RefusedInputError:
            return
    assert 0 < factor < np.inf


def bladder_in_a_slice() -> torch.Tensor:
    """A slice of a body of SUV 0.7 in air, with a bladder of SUV 80."""
    x, y = torch.meshgrid(torch.linspace(-30, 30, 120), torch.linspace(-30, 30, 120), indexing="ij")
    body = 0.7 * ((x / 17) ** 2 + (y / 11) ** 2 < 1)
    return torch.where(x**2 + y**2 < 9, 80.0, body + 0.4 * torch.rand(120, 120))[None]


def sample() -> torch.Tensor:
    volume = nibabel.load(ROOT / "tests" / "samples" / "pet_lung1_full.nii.gz").get_fdata(dtype=np.float32)
    return torch.from_numpy(volume)[None]


@pytest.mark.parametrize(
    "values",
    [
        sample(),
        3 * sample(),
        torch.zeros(1, 16, 16, 16),
        torch.zeros(1, 0, 4),
        torch.full((1, 16, 16, 16), 4.0),
        torch.full((1, 16, 16, 2), 0.02),
        torch.full((1, 16, 16), 0.02),
        bladder_in_a_slice(),
    ],
    ids=["scan", "hot scan", "zeros", "empty", "constant", "slices of a foot", "slice of a foot", "bladder"],
)
def test_plausible_suv_is_accepted(values):
    before = values.clone()
    check_plausible_suv(values)
    assert torch.equal(values, before)


@pytest.mark.parametrize("activity_a_suv", [200.0, 3700.0, 1e6])
def test_activity_is_no_suv(activity_a_suv):
    for values in (sample(), torch.full((1, 16, 16), 1.0)):
        with pytest.raises(
            RefusedInputError, match=r"bright voxels have 50 or more, which no body has in SUV: this PET is in"
        ):
            check_plausible_suv(values * activity_a_suv)


@pytest.mark.parametrize("highest", [1.0, 0.02])
def test_what_was_scaled_is_no_suv(highest):
    scaled = sample() * (highest / sample().max())
    with pytest.raises(
        RefusedInputError, match=r"voxels has [0-9.]+, but every scan in SUV exceeds 1: this PET was scaled"
    ):
        check_plausible_suv(scaled)
