#!/bin/sh
# dcm2niix writes a CT with a tilted gantry as it lies, with the shear in the sform. The step of the sform from slice to
# slice should be the difference of two Image Position (Patient), (0, 0, 5) mm here. Its direction is right, but its length
# is the distance of the planes, 5 mm x cos(tilt): slice k lies at z = 4.698 k instead of 5 k for a tilt of 20 degrees.
#
# Why it matters: of 30 slices, the last lies 9 mm from where the scanner saw it. Programs that take the sform (nibabel,
# FSL, SPM) put lesions there. Who restores or measures tilted CT should start from DICOM, or from the file `_Tilt_1`,
# which dcm2niix resamples beside it. Public reports on the shear: rordenlab/dcm2niix issues 253 and 697 (closed in 2023).
#
# Exit code 0: as described. 1: dcm2niix behaves otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    dcm2niix==1.0.20260724 nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2 || exit 2
cat > "$folder/run.py" <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import nibabel
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

TILT, STEP, N_SLICES, ROWS = 20.0, 5.0, 30, 64
folder = Path(sys.argv[1])
(folder / "dicom").mkdir()
(folder / "nifti").mkdir()
study, series, frame = generate_uid(), generate_uid(), generate_uid()
sine, cosine = np.sin(np.deg2rad(TILT)), np.cos(np.deg2rad(TILT))
for index in range(N_SLICES):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame
    image.Modality, image.Manufacturer, image.PatientName, image.PatientID = "CT", "SIEMENS", "Phantom", "1"
    image.PatientPosition, image.ImageType = "HFS", ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = "20260101"
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = "120000"
    image.SeriesNumber, image.AcquisitionNumber, image.InstanceNumber = 1, 1, index + 1
    image.SliceThickness, image.KVP, image.GantryDetectorTilt = "5", "120", f"{-TILT}"
    image.ImageOrientationPatient = ["1", "0", "0", "0", f"{cosine:.9f}", f"{-sine:.9f}"]
    image.ImagePositionPatient = ["-32", "-32", f"{index * STEP}"]
    image.PixelSpacing, image.Rows, image.Columns = ["1", "1"], ROWS, ROWS
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 1
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = "1", "0", "HU"
    image.PixelData = np.random.default_rng(index).integers(-50, 50, (ROWS, ROWS), dtype=np.int16).tobytes()
    image.save_as(folder / "dicom" / f"{index:03d}.dcm", enforce_file_format=True)

done = subprocess.run(
    [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "ct", "-o", str(folder / "nifti"), str(folder / "dicom")],
    capture_output=True, text=True,
)
print(done.stdout.strip())
header = nibabel.load(folder / "nifti" / "ct.nii").header
sform = header.get_sform()
step, rows = sform[:3, 2], sform[:3, 1]
corner = sform @ [0, ROWS - 1, N_SLICES - 1, 1]  # first row of the last slice: dcm2niix turns the rows round
print("dcm2niix", version("dcm2niix"), "nibabel", version("nibabel"))
print("step from slice to slice by Image Position (Patient):", [0.0, 0.0, STEP])
print("step from slice to slice by the sform of dcm2niix:   ", np.round(step, 3).tolist())
print("5 mm x cos(20 degrees):", round(STEP * cosine, 3))
print(f"last slice: z = {(N_SLICES - 1) * STEP} mm by DICOM, {corner[2]:.3f} mm by the sform")
as_described = np.allclose(step, [0, 0, STEP * cosine], atol=1e-3) and np.allclose(rows, [0, cosine, sine], atol=1e-3)
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
