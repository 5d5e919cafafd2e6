#!/bin/sh
# A CT series has two contrast phases under one Series Instance UID, told apart by Acquisition Number and Acquisition
# Time. The table had moved by half a slice distance between them. One would expect two volumes, or a refusal.
#
# SimpleITK, highdicom and dicom-numpy look at positions alone, which are even: they make one volume of twice the
# slices, in which arterial and venous slices take turns. dcm2niix writes the first phase and leaves the second out,
# with exit code 0 and a line about slices that were skipped.
#
# Why it matters: organs flicker from slice to slice in one case, half of the study is missing in the other. Positions
# that coincide are told by all of them; positions that interleave are not. Split a series by Acquisition Number,
# Temporal Position and Echo Number before it is read. No public report of this case was found.
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    dcm2niix==1.0.20260724 dicom-numpy==0.6.5 highdicom==0.28.2 nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2 SimpleITK==2.5.7 || exit 2
cat > "$folder/run.py" <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import dicom_numpy
import highdicom
import nibabel
import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

N = 5
folder = Path(sys.argv[1])
source = folder / "dicom"
source.mkdir()
uid = {"class": CTImageStorage, **{name: generate_uid() for name in ("study", "series", "frame")}}


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


for phase, enhancement in ((1, 100), (2, 200)):
    for index in range(N):
        image = slice_of("CT", uid, index, np.full((32, 32), enhancement))
        image.Manufacturer, image.ImageType, image.KVP = "SIEMENS", ["ORIGINAL", "PRIMARY", "AXIAL"], "120"
        image.RescaleSlope, image.RescaleIntercept, image.RescaleType = "1", "0", "HU"
        image.AcquisitionNumber, image.InstanceNumber = phase, index + 1 + N * (phase - 1)
        image.AcquisitionTime = image.ContentTime = f"12000{phase}" if phase == 1 else "120100"
        image.ImagePositionPatient = ["0", "0", f"{5 * index + 2.5 * (phase - 1)}"]
        image.save_as(source / f"{phase}{index}.dcm", enforce_file_format=True)

images = [pydicom.dcmread(path) for path in sorted(source.iterdir())]
found = {"SimpleITK": SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(
    SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(source))))[:, 16, 16]}
found["highdicom"] = highdicom.get_volume_from_series(images).array[::-1, 16, 16]
found["dicom-numpy"] = dicom_numpy.combine_slices(images)[0][16, 16]
command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "ct_%s_%t", "-o", str(folder), str(source)]
done = subprocess.run(command, capture_output=True, text=True)
written = [nibabel.load(path).get_fdata()[16, 16] for path in sorted(folder.glob("*.nii"))]
for program, values in found.items():
    print(f"{program:11} {version(program)}: one volume, from the feet to the head: {np.round(values).astype(int).tolist()}")
print(f"dcm2niix {version('dcm2niix')}: {[np.round(values).astype(int).tolist() for values in written]}, exit code {done.returncode}")
print(*(f"    {line}" for line in done.stdout.splitlines() if "kipped" in line), sep="\n")
as_described = (
    all(np.allclose(values, [100, 200] * N) for values in found.values())
    and len(written) == 1 and np.allclose(written[0], [100] * N) and done.returncode == 0
)
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
