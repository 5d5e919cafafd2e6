from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import keyword_dict
from pydicom.uid import EnhancedCTImageStorage, RTStructureSetStorage, SecondaryCaptureImageStorage

from bundle.tat.dicom.header import HEADER_TAGS, MAX_SLICE_PIXELS
from bundle.tat.dicom.open import read_dicom_header
from bundle.tat.dicom.own_series import MODEL_NAME, SERIES_SUFFIX
from tests.scans import blobs, edit_dicom, write_dicom_series

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture
def path(tmp_path):
    return write_dicom_series(tmp_path, blobs((1, 6, 7), 0, 99))[0]


def equipment(model):
    item = pydicom.Dataset()
    item.ManufacturerModelName = model
    return [item]


def test_a_plain_slice_has_nothing_against_it(path):
    header = read_dicom_header(path)
    assert header.reason is None
    assert (header.rows, header.columns, header.spacing, header.thickness) == (6, 7, (0.8, 0.6), 2.5)
    assert header.position == (-10.0, -20.0, 30.0)
    assert header.kind == "CT Image Storage"


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Modality": "US"}, "modality 'US' is not one that TAT restores"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "RGB pixels: only MONOCHROME2 is restored"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "MONOCHROME1 pixels: only MONOCHROME2 is restored"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR pixels: only MONOCHROME2 is restored"),
        ({"PhotometricInterpretation": None}, "unknown pixels: only MONOCHROME2 is restored"),
        ({"NumberOfFrames": 3}, r"multi-frame \(3 frames\) without functional groups"),
        ({"SOPClassUID": EnhancedCTImageStorage}, "multi-frame"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "a secondary capture, which is no measurement"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, r"a localizer \(scout\), which is no slice"),
        ({"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]}, "a projection, which is no slice"),
        ({"ContributingEquipmentSequence": equipment(MODEL_NAME)}, "already restored by TAT: pass the series"),
        ({"SeriesDescription": f"head {SERIES_SUFFIX}"}, "already restored by TAT"),
        ({"ImagePositionPatient": None}, "no ImagePositionPatient: its geometry is unknown"),
        ({"PixelSpacing": None, "ImageOrientationPatient": None}, "no ImageOrientationPatient, PixelSpacing: its"),
        ({"PixelSpacing": [0, 1]}, "PixelSpacing 0 x 1 mm: it must be positive"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "not at right angles"),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 1, 0]}, "not of length 1"),
        ({"Columns": 1}, "6 x 1 pixels: at least 2 x 2 are needed"),
        ({"Rows": 60_000, "Columns": 60_000}, f"60000 x 60000 pixels: a slice may have {MAX_SLICE_PIXELS} at most"),
        ({"RescaleSlope": 0}, "RescaleSlope 0: its values are lost"),
        ({"ModalityLUTSequence": [pydicom.Dataset()]}, "look-up table"),
        ({"Modality": "PT", "RescaleSlope": None}, "PET without RescaleSlope: its unit is unknown"),
    ],
)
def test_what_can_never_be_restored_has_a_reason(path, tags, reason):
    header = read_dicom_header(edit_dicom(path, **tags))
    assert header.is_image
    with pytest.raises(ValueError, match=reason):
        raise ValueError(header.reason)


@pytest.mark.parametrize(
    "tags", [{"Modality": None}, {"RescaleSlope": None}, {"NumberOfFrames": 1}, {"SliceThickness": None}]
)
def test_what_may_be_absent_is_no_reason(path, tags):
    assert read_dicom_header(edit_dicom(path, **tags)).reason is None


def test_equipment_of_others_is_no_reason(path):
    edit_dicom(path, ContributingEquipmentSequence=equipment("Another program"))
    assert read_dicom_header(path).reason is None


def test_values_that_are_no_numbers_are_a_reason(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b"-10.0\\-20.0\\30.0", b"-10.0\\-20.0\\here"))
    assert read_dicom_header(path).reason == "no ImagePositionPatient: its geometry is unknown"


def test_objects_without_pixels_say_what_they_are(path):
    edit_dicom(path, SOPClassUID=RTStructureSetStorage, Rows=None, Columns=None)
    header = read_dicom_header(path)
    assert not header.is_image
    assert header.reason == "no pixels (RT Structure Set Storage)"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("CT_small.dcm", None),
        ("MR_small.dcm", None),
        ("MR_small_bigendian.dcm", None),
        ("MR_small_implicit.dcm", None),
        ("liver_1frame.dcm", "modality 'SEG' is not one that TAT restores: CT, MRI, PET"),
        ("rtstruct.dcm", "no pixels (RT Structure Set Storage)"),
        ("dicomdirtests/DICOMDIR", "no pixels (Media Storage Directory Storage)"),
        ("dicomdirtests/98892001/CT2N/6293", "a localizer (scout), which is no slice of a volume"),
        ("dicomdirtests/98892003/MR700/4467", "a projection, which is no slice of a volume"),
    ],
)
def test_real_files(name, reason):
    assert read_dicom_header(PYDICOM_FILES / name).reason == reason


def test_nothing_about_the_patient_is_read():
    groups = {keyword_dict[name] >> 16 for name in HEADER_TAGS}
    assert 0x0010 not in groups


def test_numbers_are_finite(path):
    header = read_dicom_header(edit_dicom(path, SliceThickness=""))
    assert np.isfinite([*header.position, *header.orientation, *header.spacing, header.thickness]).all()
