"""SUV of Enhanced PET, from attributes that classic PET has not."""

import pydicom
import pytest

from bundle.tat.dicom.enhanced.frames import FrameViews
from bundle.tat.dicom.reader import read_series
from bundle.tat.dicom.study import find_series
from bundle.tat.dicom.suv.factor import suv_factor
from bundle.tat.refusal import RefusedInputError
from tests.dicom_sources import stored_values, write_source
from tests.enhanced_sources import code, write_enhanced

# 75 kg and 200 MBq, an hour of fluorine 18 before the scan.
FACTOR = 75e3 / (2e8 * 2 ** (-3600 / 6586.2))


def view_of(folder, change=None, change_frame=None) -> pydicom.Dataset:
    """The first frame of an Enhanced PET object that was changed."""
    (path,) = write_enhanced(folder, stored_values("PT"), "PT", change=change, change_frame=change_frame)
    return FrameViews(pydicom.dcmread(path))[0]


def test_factor_is_that_of_the_classic_series(tmp_path):
    (path, *_) = write_source(tmp_path / "classic", stored_values("PT"), "PT")
    assert suv_factor(view_of(tmp_path / "enhanced")) == suv_factor(pydicom.dcmread(path)) == pytest.approx(FACTOR)


@pytest.mark.parametrize("dose", [200.0, 2e8], ids=["MBq", "Bq"])
def test_dose_in_either_unit(tmp_path, dose):
    def change(image, _):
        image.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = dose

    assert suv_factor(view_of(tmp_path, change)) == pytest.approx(FACTOR)


def test_values_corrected_to_the_injection(tmp_path):
    def change(image, _):
        image.DecayCorrectionDateTime = "20200304100000.00"

    assert suv_factor(view_of(tmp_path, change)) == pytest.approx(75e3 / 2e8)


def test_values_corrected_to_a_time_before_the_frame(tmp_path):
    def change(image, _):
        image.DecayCorrectionDateTime = "20200304103000"

    assert suv_factor(view_of(tmp_path, change)) == pytest.approx(75e3 / (2e8 * 2 ** (-1800 / 6586.2)))


def test_values_without_decay_correction(tmp_path):
    def change(image, _):
        image.DecayCorrected = "NO"

    # Half of the frame of 120 s later, and a little less.
    assert suv_factor(view_of(tmp_path, change)) == pytest.approx(75e3 / (2e8 * 2 ** (-3660 / 6586.2)), rel=1e-4)


def test_mapping_to_suv(tmp_path):
    def change(groups, _):
        mapping = groups.RealWorldValueMappingSequence[0]
        mapping.MeasurementUnitsCodeSequence = code("g/ml{SUVbw}", "UCUM", "SUVbw")
        mapping.RealWorldValueSlope = 0.001

    view = view_of(tmp_path, change_frame=change)
    assert (suv_factor(view), float(view.RescaleSlope), view.Units) == (1.0, 0.001, "GML")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AttenuationCorrected", "NO", "does not name ATTN"),
        ("DecayCorrectionDateTime", "", r"Decay Correction \(0054,1102\) is missing"),
        ("PatientWeight", None, r"Patient's Weight \(0010,1030\) is missing"),
    ],
)
def test_what_is_missing_is_refused_by_name(tmp_path, name, value, sentence):
    def change(image, _):
        setattr(image, name, value)

    write_enhanced(tmp_path / "series", stored_values("PT"), "PT", change=change)
    with pytest.raises(RefusedInputError, match=sentence):
        read_series(find_series([tmp_path / "series"]))


def test_an_unknown_unit_is_refused(tmp_path):
    def change(groups, _):
        del groups.RealWorldValueMappingSequence

    write_enhanced(tmp_path / "series", stored_values("PT"), "PT", change_frame=change)
    with pytest.raises(RefusedInputError, match=r"Units \(0054,1001\) is missing"):
        read_series(find_series([tmp_path / "series"]))


def test_an_own_view_leaves_the_object_as_it_is(tmp_path):
    (path,) = write_enhanced(tmp_path, stored_values("PT"), "PT")
    image = pydicom.dcmread(path)
    views = FrameViews(image)
    for index in range(len(views)):
        view = views.own(index)
        view.SeriesDate, view.ImageType, view.RescaleSlope = "19000101", ["X"], 7
        view.RadiopharmaceuticalInformationSequence = []
    assert image == pydicom.dcmread(path)
    assert list(views) == list(FrameViews(pydicom.dcmread(path)))
