#!/bin/sh
# An Enhanced MR object stores its frames from the head to the feet; In-Stack Position Number counts from the feet to
# the head. Both are free (PS3.3 C.7.6.17). In the NIfTI, the top slice should lie at the top.
#
# dicom2nifti sorts the slices by In-Stack Position Number, but takes the affine from the frames that are stored first
# and last. So the slices lie in reverse: the slice at z = 25 mm comes to z = 0, and the head to the feet. Nothing is
# said.
#
# Why it matters: the image is a mirror image of the patient, left and right included once somebody turns it upright.
# Frames that are stored in rising order are converted rightly, so tests on such objects do not show it. No public
# report was found.
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    dicom2nifti==2.6.2 dcm2niix==1.0.20260724 nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2 || exit 2
cat > "$folder/run.py" <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import dicom2nifti
import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

STEP = 5.0
folder = Path(sys.argv[1])


def item(**values):
    one = Dataset()
    for name, value in values.items():
        setattr(one, name, value)
    return [one]


def enhanced_mr(path, order, maker):
    """Frame k shows slice order[k], which lies at z = 5 mm x order[k] and holds the value 100 x (order[k] + 1)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = EnhancedMRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = EnhancedMRImageStorage, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    image.PatientName, image.PatientID, image.PatientBirthDate, image.PatientSex = "Phantom", "1", "", ""
    image.StudyID, image.AccessionNumber, image.ReferringPhysicianName, image.PositionReferenceIndicator = "1", "", "", ""
    image.Manufacturer, image.ManufacturerModelName, image.DeviceSerialNumber, image.SoftwareVersions = maker, "1", "1", "1"
    image.StudyDate = image.SeriesDate = image.ContentDate = "20260101"
    image.StudyTime = image.SeriesTime = image.ContentTime = "120000"
    image.AcquisitionDateTime, image.AcquisitionDuration = "20260101120000", 60.0
    image.Modality, image.PatientPosition, image.SeriesNumber, image.InstanceNumber = "MR", "HFS", 1, 1
    kind = {"PixelPresentation": "MONOCHROME", "VolumetricProperties": "VOLUME", "VolumeBasedCalculationTechnique": "NONE",
            "ComplexImageComponent": "MAGNITUDE", "AcquisitionContrast": "T1"}
    image.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    for name, value in kind.items():
        setattr(image, name, value)
    image.ContentQualification, image.BurnedInAnnotation, image.PresentationLUTShape = "RESEARCH", "NO", "IDENTITY"
    image.LossyImageCompression, image.AcquisitionContextSequence = "00", []
    image.MagneticFieldStrength, image.ResonantNucleus, image.KSpaceFiltering = 3.0, "1H", "NONE"
    image.ApplicableSafetyStandardAgency = "IEC"
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.Rows, image.Columns, image.NumberOfFrames = 32, 32, len(order)
    dimension = generate_uid()
    image.DimensionOrganizationSequence = item(DimensionOrganizationUID=dimension)
    image.DimensionIndexSequence = [
        item(DimensionOrganizationUID=dimension, DimensionIndexPointer=pointer, FunctionalGroupPointer=0x00209111)[0]
        for pointer in (0x00209056, 0x00209057)
    ]
    shared = Dataset()
    shared.PixelMeasuresSequence = item(PixelSpacing=["1", "1"], SliceThickness=str(STEP))
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    shared.PixelValueTransformationSequence = item(RescaleSlope="1", RescaleIntercept="0", RescaleType="US")
    shared.FrameVOILUTSequence = item(WindowCenter="300", WindowWidth="600")
    head = item(CodeValue="69536005", CodingSchemeDesignator="SCT", CodeMeaning="Head")
    shared.FrameAnatomySequence = item(FrameLaterality="U", AnatomicRegionSequence=head)
    shared.MRImageFrameTypeSequence = item(FrameType=image.ImageType, **kind)
    image.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in order:
        frame = Dataset()
        frame.FrameContentSequence = item(
            StackID="1", InStackPositionNumber=index + 1, DimensionIndexValues=[1, index + 1],
            FrameAcquisitionDateTime="20260101120000", FrameReferenceDateTime="20260101120000", FrameAcquisitionDuration=60000.0)
        frame.PlanePositionSequence = item(ImagePositionPatient=["0", "0", f"{index * STEP}"])
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = frames
    image.PixelData = b"".join(np.full((32, 32), 100 * (index + 1), np.uint16).tobytes() for index in order)
    path.parent.mkdir(exist_ok=True)
    image.save_as(path, enforce_file_format=True)


def places(path):
    """z of each slice [mm], by the value that it holds."""
    image = nibabel.load(path)
    values = image.get_fdata()[16, 16]
    return {int(value): float((image.affine @ [16, 16, index, 1])[2]) for index, value in enumerate(values)}


right = {100 * (index + 1): index * STEP for index in range(6)}
found = {}
for name, order in (("rising", range(6)), ("falling", range(5, -1, -1))):
    path = folder / name / "mr.dcm"
    enhanced_mr(path, list(order), "Philips")
    dicom2nifti.dicom_series_to_nifti(path.parent, folder / f"{name}.nii", reorient_nifti=False)
    found["dicom2nifti", name] = places(folder / f"{name}.nii")
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", f"other_{name}", "-o", str(folder), str(path.parent)]
    subprocess.run(command, capture_output=True, check=True)
    found["dcm2niix", name] = places(folder / f"other_{name}.nii")
print(f"dicom2nifti {version('dicom2nifti')}, dcm2niix {version('dcm2niix')}")
print("z of the slice that holds 100, 200, ..., by DICOM:", list(right.values()))
for (program, order), where in found.items():
    print(f"{program:12} frames stored in {order:8} order:", [where[value] for value in right])
upside_down = {value: 25.0 - z for value, z in right.items()}
as_described = (
    found["dicom2nifti", "falling"] == upside_down
    and found["dicom2nifti", "rising"] == found["dcm2niix", "rising"] == found["dcm2niix", "falling"] == right
)
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
