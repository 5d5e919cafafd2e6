"""Factors to SUV against two independent programs, z-rad (MIT, takes part in the IBSI SUV standard) and pysuv (MIT)."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage

from bundle.tat.dicom.suv.factor import suv_factor
from tests.dicom.suv.test_factor import (
    INJECTION,
    SCAN,
    average_time,
    clock,
    day,
    pet_image,
    philips,
    private,
    without_date,
)

pytestmark = pytest.mark.integration

STORED, SLOPE = np.array([[1, 20], [300, 4000]], dtype="<i2"), 0.75
NIGHT = datetime(2019, 3, 8, 0, 20)
BED = timedelta(minutes=12)


def frame(half_life: float = 6586.2, **changes) -> Dataset:
    """The fifth bed of a scan, three minutes long, as Siemens and Philips tell it."""
    tags = {
        "acquisition": SCAN + BED,
        "ActualFrameDuration": 180000,
        "FrameReferenceTime": round(1000 * (BED.total_seconds() + average_time(180.0, half_life))),
        "RadionuclideHalfLife": half_life,
        "Manufacturer": "SIEMENS",
        **changes,
    }
    return pet_image(**tags)


BY_FRAME = {
    "first bed": frame(acquisition=SCAN, FrameReferenceTime=89858),
    "fifth bed": frame(),
    "series processed later": frame(SeriesTime="180000"),
    "series processed later, Philips": frame(SeriesTime="180000", Manufacturer="Philips"),
    "series processed later, GE": frame(
        SeriesTime="180000", FrameReferenceTime=720000, Manufacturer="GE MEDICAL SYSTEMS"
    ),
    "scan time of GE": private(
        frame(SeriesTime="180000", FrameReferenceTime=720000, Manufacturer="GE MEDICAL SYSTEMS"),
        0x0009,
        "GEMS_PETD_01",
        (0x0D, "DT", day(SCAN) + clock(SCAN)),
    ),
    "gallium 68": frame(4062.6),
    "zirconium 89 after six days": frame(
        282240.0, RadiopharmaceuticalStartDateTime=day(SCAN - timedelta(days=6)) + "101530"
    ),
    "before midnight": frame(scan=NIGHT, acquisition=NIGHT + BED, **without_date(datetime(2019, 3, 7, 23, 20, 30))),
    "another time zone": frame(TimezoneOffsetFromUTC="+0100", RadiopharmaceuticalStartDateTime="20190307081530+0000"),
    "refers to the injection": frame(DecayCorrection="ADMIN"),
    "not corrected for decay": frame(DecayCorrection="NONE", CorrectedImage=["ATTN", "SCAT"]),
    "counts of Philips to SUV": philips((0x00, "DS", "0.000246"), Manufacturer="Philips"),
    "counts of Philips to Bq/ml": philips(
        (0x09, "DS", "2.46"), Manufacturer="Philips", FrameReferenceTime=89858, ActualFrameDuration=180000
    ),
    "SUV": pet_image(Units="GML", Manufacturer="SIEMENS"),
}
# pysuv goes by Series Time and Radiopharmaceutical Start Time.
ALONE = without_date(INJECTION)
BY_SERIES = {
    "first bed": frame(**ALONE, acquisition=SCAN, FrameReferenceTime=89858),
    "fifth bed": frame(**ALONE),
    "no frame": pet_image(**ALONE, Manufacturer="SIEMENS"),
    "gallium 68": frame(4062.6, **ALONE),
    "before midnight": BY_FRAME["before midnight"],
    "counts of Philips to SUV": philips((0x00, "DS", "0.000246"), **ALONE, Manufacturer="Philips"),
}


def write(path: Path, image: Dataset) -> Dataset:
    """Write a header with four pixels and read it again."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = PositronEmissionTomographyImageStorage, "1.2.3.4"
    file = FileDataset(str(path), image, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.Modality, file.PatientSex, file.PatientSize = "PT", "F", 1.7
    file.Rows, file.Columns = STORED.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 1
    file.RescaleSlope, file.RescaleIntercept = SLOPE, 0.0
    file.ImagePositionPatient = [0.0, 0.0, 0.0]
    file.PixelData = STORED.tobytes()
    if int(pydicom.__version__[0]) < 3:  # newer versions take both from the transfer syntax
        file.is_little_endian, file.is_implicit_VR = True, False
    file.save_as(path)
    return pydicom.dcmread(path)


@pytest.mark.parametrize("name", BY_FRAME)
def test_factors_equal_those_of_z_rad(tmp_path, name):
    theirs = pytest.importorskip(
        "zrad.io.pet_suv", reason="z-rad is not installed: pip install z-rad (Python 3.11 and up)"
    )
    path = tmp_path / "slice.dcm"
    image = write(path, BY_FRAME[name])
    geometry = SimpleITK.Image(*STORED.T.shape, 1, SimpleITK.sitkFloat64)
    suv = SimpleITK.GetArrayFromImage(theirs.apply_suv_correction([{"file_path": str(path), "ds": image}], geometry))
    np.testing.assert_allclose(STORED * SLOPE * suv_factor(image), suv[0], rtol=1e-6)


@pytest.mark.parametrize("name", BY_SERIES)
def test_factors_equal_those_of_pysuv(tmp_path, name):
    theirs = pytest.importorskip("pysuv", reason="pysuv is not installed: pip install pysuv")
    image = write(tmp_path / "slice.dcm", BY_SERIES[name])
    np.testing.assert_allclose(STORED * SLOPE * suv_factor(image), theirs.compute_suv(image), rtol=1e-6)
