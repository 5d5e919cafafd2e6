#!/bin/sh
# An Enhanced MR object may store its frames in any order: each says where it lies (PS3.3 C.7.6.17: "The actual order of
# the Frames in the object is up to the generating application"). Here an interleaved scan stores slices 2, 4, 6, 1, 3,
# 5, 5 mm apart. The slices of every reader should be 5 mm apart, and the last one should lie at z = 25 mm.
#
# nibabel sorts the frames from the head down, but its affine goes up, by 15 mm a slice: upside down, and three times as
# long. dcm2niix sorts them too, and divides the distance of the frame stored first from the one stored last by their
# number: 3 mm. It does so for objects of Siemens, GE and United Imaging; of Philips and Canon, it takes the Slice
# Thickness. SimpleITK does not sort at all, and takes 1 mm. None says a word; highdicom is right.
#
# Why it matters: shape and contrast look right, and lengths and volumes along the slices are 0.2 to 3 times what they should be. Who
# gets Enhanced objects should compare the slice distance with Image Position (Patient) of the frames. Public reports of
# the kind: rordenlab/dcm2niix issue 839 (order of slices, 2024); that GDCM reads the first frame alone is said in
# InsightSoftwareConsortium/ITK pull request 2010. No report of these distances was found.
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    dcm2niix==1.0.20260724 highdicom==0.28.2 nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2 SimpleITK==2.5.7 || exit 2
cat > "$folder/run.py" <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import highdicom
import nibabel
import numpy as np
import SimpleITK
from nibabel.nicom.dicomwrappers import wrapper_from_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

STEP, ORDER = 5.0, [1, 3, 5, 0, 2, 4]
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


def by_dcm2niix(path):
    out = folder / "nifti"
    out.mkdir(exist_ok=True)
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-w", "1", "-f", "mr", "-o", str(out), str(path.parent)]
    subprocess.run(command, capture_output=True, check=True)
    image = nibabel.load(out / "mr.nii")
    return image.affine[:3, 2], image.get_fdata()[16, 16]


steps = {}
for maker in ("SIEMENS", "GE MEDICAL SYSTEMS", "UIH", "Philips", "Canon"):
    path = folder / maker.split()[0] / "mr.dcm"
    enhanced_mr(path, ORDER, maker)
    steps[f"dcm2niix, {maker}"] = by_dcm2niix(path)
wrapped = wrapper_from_file(str(path))
steps["nibabel"] = wrapped.affine[:3, 2], wrapped.get_data()[16, 16]
image = SimpleITK.ReadImage(str(path))
direction = np.array(image.GetDirection()).reshape(3, 3)
steps["SimpleITK"] = direction[:, 2] * image.GetSpacing()[2], SimpleITK.GetArrayFromImage(image)[:, 16, 16]
volume = highdicom.imread(path).get_volume()
steps["highdicom"] = volume.affine[:3, 0], volume.array[:, 16, 16]

print(*(f"{name} {version(name)}" for name in ("nibabel", "dcm2niix", "SimpleITK", "highdicom")), sep=", ")
print(f"frames stored at z = {[index * STEP for index in ORDER]} mm; slice at z = 5 k mm holds 100 (k + 1)")
for name, (step, values) in steps.items():
    print(f"{name:28} from slice to slice: z {step[2]:+.2f} mm   values {np.round(values).astype(int).tolist()}")
rising, falling = list(range(100, 700, 100)), list(range(600, 0, -100))
expected = {
    "dcm2niix, SIEMENS": (3, rising), "dcm2niix, GE MEDICAL SYSTEMS": (3, rising), "dcm2niix, UIH": (3, rising),
    "dcm2niix, Philips": (5, rising), "dcm2niix, Canon": (5, rising),
    "nibabel": (15, falling), "SimpleITK": (1, [200, 400, 600, 100, 300, 500]), "highdicom": (-5, falling),
}
as_described = all(
    np.isclose(steps[name][0][2], step) and np.allclose(steps[name][1], values) for name, (step, values) in expected.items()
)
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
