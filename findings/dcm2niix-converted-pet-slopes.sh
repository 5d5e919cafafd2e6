#!/bin/sh
# A PET series is converted to one Legacy Converted Enhanced PET object, as archives do. Each of its frames has a
# Rescale Slope of its own, in its functional groups. dcm2niix should give the same activities for the object as for the
# series.
#
# For objects of Siemens, GE and United Imaging it takes the slope of the frame that is stored last for all frames,
# without a word. With the Manufacturer changed to Philips or Canon, and nothing else, the activities are right. The
# classic series is converted rightly, whoever made it.
#
# Why it matters: slopes of a PET series differ by factors, so activities and SUV are wrong by factors, and differently
# in each slice. Contrast within a slice looks right. Public reports of the kind: rordenlab/dcm2niix issues 363
# (Philips, 2019) and 853 (Mediso, 2024), where support is said to be for some makers.
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    dcm2niix==1.0.20260724 highdicom==0.28.2 nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2 || exit 2
cat > "$folder/run.py" <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import nibabel
import numpy as np
from highdicom.legacy import LegacyConvertedEnhancedPETImage
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

STORED, SLOPES = 1000, [1.25, 2.5, 5.0, 3.75, 2.0, 0.5]
folder = Path(sys.argv[1])
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


def pet_slice(maker, index):
    image = slice_of("PT", uid, index, np.full((32, 32), STORED))
    image.Manufacturer, image.ImageType, image.RescaleSlope, image.RescaleIntercept = maker, ["ORIGINAL", "PRIMARY"], SLOPES[index], 0
    image.Units, image.CountsSource, image.SeriesType, image.NumberOfSlices = "BQML", "EMISSION", ["WHOLE BODY", "IMAGE"], 6
    image.CorrectedImage, image.DecayCorrection, image.CollimatorType = ["ATTN", "DECY"], "START", "NONE"
    image.ImageIndex, image.FrameReferenceTime, image.ActualFrameDuration, image.DecayFactor = index + 1, 60000, 120000, 1.01
    tracer = Dataset()
    tracer.Radiopharmaceutical, tracer.RadionuclideCodeSequence = "FDG", []
    tracer.RadiopharmaceuticalStartTime, tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = "110000", 3e8, 6586.2
    image.RadiopharmaceuticalInformationSequence, image.PatientWeight = [tracer], 70
    return image


def activities(source, name):
    """Activity of each slice [Bq/ml] in the NIfTI that dcm2niix writes, from the feet to the head."""
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", name, "-o", str(folder), str(source)]
    subprocess.run(command, capture_output=True, check=True)
    image = nibabel.load(folder / f"{name}.nii")
    values = image.get_fdata()[16, 16]
    return [round(float(value)) for value in (values if image.affine[2, 2] > 0 else values[::-1])]


right = [round(STORED * slope) for slope in SLOPES]
print(f"dcm2niix {version('dcm2niix')}, highdicom {version('highdicom')} converts the series")
print("activities by DICOM [Bq/ml]:      ", right)
found = {}
for number, maker in enumerate(("SIEMENS", "GE MEDICAL SYSTEMS", "UIH", "Philips", "Canon")):
    classic, enhanced = folder / f"classic{number}", folder / f"enhanced{number}"
    classic.mkdir()
    enhanced.mkdir()
    slices = [pet_slice(maker, index) for index in range(len(SLOPES))]
    for index, image in enumerate(slices):
        image.save_as(classic / f"{index}.dcm", enforce_file_format=True)
    converted = LegacyConvertedEnhancedPETImage(
        slices, series_instance_uid=generate_uid(), series_number=2, sop_instance_uid=generate_uid(), instance_number=1)
    converted.save_as(enhanced / "pet.dcm")
    found[maker] = activities(classic, f"of_classic{number}"), activities(enhanced, f"of_enhanced{number}")
    print(f"{maker:18} classic series {found[maker][0]}   converted object {found[maker][1]}")
groups = converted.PerFrameFunctionalGroupsSequence
last = round(STORED * float(groups[-1].PixelValueTransformationSequence[0].RescaleSlope))
as_described = all(
    classic == right and enhanced == (right if maker in ("Philips", "Canon") else [last] * len(right))
    for maker, (classic, enhanced) in found.items()
)
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
