"""Copy a DICOM series without anything that identifies the person, the date or the place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

# Kept: the image, its geometry and its acquisition. Everything else is removed, private elements included.
KEPT = """
    ImageType SOPClassUID Modality Manufacturer SeriesDescription ScanningSequence SequenceVariant ScanOptions
    MRAcquisitionType SequenceName SliceThickness RepetitionTime EchoTime NumberOfAverages EchoNumbers
    MagneticFieldStrength SpacingBetweenSlices NumberOfPhaseEncodingSteps EchoTrainLength PixelBandwidth
    AcquisitionMatrix InPlanePhaseEncodingDirection FlipAngle PatientPosition SeriesNumber InstanceNumber
    ImagePositionPatient ImageOrientationPatient SliceLocation SamplesPerPixel PhotometricInterpretation Rows Columns
    PixelSpacing BitsAllocated BitsStored HighBit PixelRepresentation SmallestImagePixelValue LargestImagePixelValue
    RescaleIntercept RescaleSlope RescaleType PixelData
""".split()  # noqa: SIM905 - one a line would bury the code
# Type 2 in PS3.3: these must be present, and may be empty.
EMPTY = """
    PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID
    AccessionNumber PositionReferenceIndicator
""".split()  # noqa: SIM905 - one a line would bury the code


def strip_series(paths: Sequence[Path], folder: Path) -> None:
    """Write stripped copies, with new identifiers that are the same for the same source.

    Args:
        paths: files of one series.
        folder: folder for ``slice_01.dcm`` and so on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths, start=1):
        stripped = strip(pydicom.dcmread(path))
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = stripped.SOPClassUID
        meta.MediaStorageSOPInstanceUID = stripped.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        name = folder / f"slice_{number:02d}.dcm"
        FileDataset(
            str(name), stripped, preamble=b"\0" * 128, file_meta=meta, is_implicit_VR=False, is_little_endian=True
        ).save_as(name)


def strip(source: Dataset) -> Dataset:
    """Copy the kept elements of one slice, and replace its identifiers."""
    stripped = Dataset()
    for keyword in KEPT:
        if keyword in source:
            stripped.add(source[keyword])
    for keyword in EMPTY:
        setattr(stripped, keyword, "")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"):
        setattr(stripped, keyword, replace_uid(str(source[keyword].value)))
    stripped.PatientIdentityRemoved = "YES"
    stripped.DeidentificationMethod = "Kept: image, geometry and acquisition only"
    return stripped


def replace_uid(source: str) -> str:
    """Make a new identifier, the same for the same source: a UUID under the root 2.25 (PS3.5 B.2)."""
    return f"2.25.{uuid5(NAMESPACE_OID, source).int}"
