#!/bin/sh
# Pixel Spacing (0028,0030) is the distance of rows, then that of columns (PS3.3 10.7.1.3). Here rows are 0.7 mm apart
# and columns 1.4 mm. The step from column to column should be 1.4 mm along the patient's x axis.
#
# DICOMSeriesToVolumeOperator, by which an application of MONAI Deploy reads a series, takes the first value for the
# step from column to column: x and y spacing are exchanged in its affine. The metadata entries row_pixel_spacing and
# col_pixel_spacing beside it are right. Its volume also has the number type of the first slice: in a PET series whose
# first slice is empty, the others lose their fractions.
#
# Why it matters: an image of unequal pixels is stretched by the square of their ratio. Volumes of lesions stay right;
# shapes, positions and what Spacingd resamples do not. With square pixels nothing is seen, and nearly all CT has them.
# The same mistake was mended in z-rad (pull request 287, 2026) and dicom2nifti (issue 37, 2018). No report on MONAI
# Deploy was found.
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    highdicom==0.28.2 monai==1.6.1 monai-deploy-app-sdk==4.0.0 numpy==2.2.6 pydicom==3.0.2 torch==2.13.0 || exit 2
cat > "$folder/run.py" <<'PYTHON'
import logging
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from monai.deploy.core import Fragment
from monai.deploy.core.domain.dicom_series_selection import SelectedSeries, StudySelectedSeries
from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator
from monai.deploy.operators.dicom_series_to_volume_operator import DICOMSeriesToVolumeOperator
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

ROWS_APART, COLUMNS_APART, SLOPES = 0.7, 1.4, [1.0, 0.377, 0.745]
logging.disable(logging.CRITICAL)
folder = Path(sys.argv[1])
source = folder / "dicom"
source.mkdir()
uid = {"class": PositronEmissionTomographyImageStorage, **{name: generate_uid() for name in ("study", "series", "frame")}}


def slice_of(modality, uid, index, values):
    """One classic image; what differs between series is set by the caller."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = uid["class"], generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = uid["class"], meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = uid["study"], uid["series"], uid["frame"]
    image.PatientName, image.PatientID, image.PatientBirthDate, image.PatientSex = "Phantom^", "1", "", "O"
    image.StudyID, image.AccessionNumber, image.ReferringPhysicianName, image.PositionReferenceIndicator = "1", "", "", ""
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = "20260101"
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = "120000"
    image.Modality, image.PatientPosition, image.SeriesNumber, image.InstanceNumber = modality, "HFS", 1, index + 1
    image.PixelSpacing, image.SliceThickness = ["1", "1"], "5"
    image.ImageOrientationPatient, image.ImagePositionPatient = ["1", "0", "0", "0", "1", "0"], ["0", "0", f"{5 * index}"]
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 1
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.Rows, image.Columns = values.shape
    image.PixelData = values.astype("<i2").tobytes()
    return image


for index, slope in enumerate(SLOPES):
    image = slice_of("PT", uid, index, np.full((32, 24), 0 if index == 0 else 10))
    image.Manufacturer, image.ImageType, image.PixelSpacing = "SIEMENS", ["ORIGINAL", "PRIMARY"], [ROWS_APART, COLUMNS_APART]
    image.RescaleSlope, image.RescaleIntercept, image.Units, image.SeriesDescription = slope, 0, "BQML", "PET"
    image.save_as(source / f"{index}.dcm", enforce_file_format=True)

fragment = Fragment()
loader = DICOMDataLoaderOperator(fragment, input_folder=source, must_load=True, name="loader")
(study,) = loader.load_data_to_studies(source)
selected = StudySelectedSeries(study)
for series in study.get_all_series():
    selected.add_selected_series(SelectedSeries("", series, None))
volume = DICOMSeriesToVolumeOperator(fragment, name="volume").convert_to_image([selected])
affine, told = np.abs(volume.metadata()["affine"]), volume.metadata()
values = volume.asnumpy()
print(f"monai-deploy-app-sdk {version('monai-deploy-app-sdk')}, pydicom {version('pydicom')}")
print(f"rows are {ROWS_APART} mm apart, columns {COLUMNS_APART} mm")
print(f"affine: from column to column {affine[0, 0]:.1f} mm, from row to row {affine[1, 1]:.1f} mm")
print("row_pixel_spacing", told["row_pixel_spacing"], "col_pixel_spacing", told["col_pixel_spacing"])
print("values by DICOM", [0.0, *(round(10 * slope, 2) for slope in SLOPES[1:])], "in the volume", values[:, 5, 5].tolist(), values.dtype)
as_described = (
    np.allclose([affine[0, 0], affine[1, 1]], [ROWS_APART, COLUMNS_APART])
    and np.isclose(told["row_pixel_spacing"], ROWS_APART) and np.isclose(told["col_pixel_spacing"], COLUMNS_APART)
    and values[:, 5, 5].tolist() == [0, 3, 7]
)
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
