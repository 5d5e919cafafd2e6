"""CT, MR and PET series with all the modules of their kind, as a scanner writes them, for tests of what is derived."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

SOP_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
PATIENT_NAME = "Müller^Ünal"
# Injected one hour before the scan, 200 MBq of fluorine 18 for 75 kg.
SCAN_TIME, INJECTION_TIME = "110000", "100000"

Change = Callable[[Dataset, int], None]


def write_source(
    folder: Path,
    stored: np.ndarray,
    modality: str,
    *,
    units: str = "BQML",
    syntax: str = ExplicitVRLittleEndian,
    change: Change | None = None,
) -> list[Path]:
    """Write 16-bit pixels (slices, rows, columns) as one file a slice; the files are returned in their order.

    ``change`` gets each data set and its index before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, pixels in enumerate(stored):
        image = image_of(modality, index, len(stored))
        if modality == "PT":
            image.Units = units
            if units == "GML":
                image.SUVType = "BW"
        image.Rows, image.Columns = pixels.shape
        image.PixelRepresentation = int(pixels.dtype.kind == "i")
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        image.add_new("PixelData", "OW", np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder(order)).tobytes())
        if change:
            change(image, index)
        paths.append(folder / f"{100 - index:03d}.dcm")  # names tell nothing of the order
        save(image, paths[-1], syntax)
    return paths


def save(image: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> None:
    """Write a data set as a complete file with any pydicom."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    image.file_meta, image.preamble = meta, bytes(128)
    if int(pydicom.__version__[0]) < 3:
        image.is_little_endian = syntax != ExplicitVRBigEndian
        image.is_implicit_VR = syntax == ImplicitVRLittleEndian
        pydicom.dcmwrite(path, image, write_like_original=False)
    else:
        pydicom.dcmwrite(path, image, enforce_file_format=True)


def compress_rle(image: Dataset) -> None:
    """Compress the pixels of an image, which stays the same one; pydicom 3 would give it another UID."""
    uid = image.SOPInstanceUID
    image.compress(RLELossless)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid


def stored_values(modality: str, n_slices: int = 3, rows: int = 12, columns: int = 10) -> np.ndarray:
    """Pixels that such a series might store: signs and bits as scanners use them."""
    random = np.random.default_rng(len(modality) + n_slices)
    low, high, kind = {"CT": (0, 4095, np.uint16), "MR": (0, 1500, np.uint16), "PT": (0, 32767, np.int16)}[modality]
    return random.integers(low, high, size=(n_slices, rows, columns), endpoint=True).astype(kind)


def image_of(modality: str, index: int, n_slices: int) -> Dataset:
    """An image of a series with all its modules, but without pixels."""
    image = _image(modality, index, n_slices)
    {"CT": _add_ct, "MR": _add_mr, "PT": _add_pet}[modality](image, index)
    return image


def elements(paths: Iterable[Path], keyword: str) -> list[object]:
    """One element of each file."""
    return [pydicom.dcmread(path).get(keyword) for path in paths]


def _image(modality: str, index: int, n_slices: int) -> Dataset:
    """What images of all kinds have: patient, study, series, frame of reference, plane and pixels."""
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.SOPClassUID, image.SOPInstanceUID = (
        SOP_CLASSES[modality],
        f"1.2.826.0.1.{len(modality)}.{n_slices}.{index + 1}",
    )
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.826.0.2", "1.2.826.0.3"
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = "1.2.826.0.4", ""
    image.PatientName, image.PatientID, image.PatientBirthDate, image.PatientSex = PATIENT_NAME, "4711", "19500102", "F"
    image.StudyID, image.AccessionNumber, image.ReferringPhysicianName = "1", "A1", ""
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = "20200304"
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = SCAN_TIME
    image.InstanceCreationDate, image.InstanceCreationTime = "20200304", SCAN_TIME
    image.InstanceCreatorUID = "1.2.826.0.5"
    image.Modality, image.SeriesNumber, image.SeriesDescription = modality, 5, "Schädel 2.5 mm"
    image.Manufacturer, image.ManufacturerModelName, image.SoftwareVersions = "Acme", "Scanner 1", "VB10"
    image.DeviceSerialNumber, image.InstitutionName = "12", "Klinik"
    image.BodyPartExamined, image.InstanceNumber, image.AcquisitionNumber = "HEAD", index + 1, 1
    image.PatientIdentityRemoved, image.DeidentificationMethod = "YES", "by hand"
    image.BurnedInAnnotation, image.LossyImageCompression = "NO", "00"
    image.ImageOrientationPatient, image.PixelSpacing, image.SliceThickness = [1, 0, 0, 0, 1, 0], [0.8, 0.6], 2.5
    image.ImagePositionPatient, image.SliceLocation = [-10.0, -20.0, 30.0 + 2.5 * index], 30.0 + 2.5 * index
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.WindowCenter, image.WindowWidth = 40, 400
    return image


def _add_ct(image: Dataset, index: int) -> None:
    image.ImageType, image.PatientPosition = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS"
    image.BitsStored, image.HighBit = 12, 11
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, -1024, "HU"
    image.KVP, image.ConvolutionKernel, image.XRayTubeCurrent = 120, "B31f", 200


def _add_mr(image: Dataset, index: int) -> None:
    image.ImageType, image.PatientPosition = ["ORIGINAL", "PRIMARY", "M", "ND"], "HFS"
    image.BitsStored, image.HighBit = 12, 11
    image.ScanningSequence, image.SequenceVariant, image.ScanOptions = "SE", "NONE", ""
    image.MRAcquisitionType, image.RepetitionTime, image.EchoTime, image.EchoTrainLength = "2D", 500, 12, 1
    image.MagneticFieldStrength = 1.5


def _add_pet(image: Dataset, index: int) -> None:
    """Every slice has a slope of its own."""
    image.ImageType, image.SeriesType = ["ORIGINAL", "PRIMARY"], ["STATIC", "IMAGE"]
    image.RescaleSlope, image.RescaleIntercept = 0.5 + 0.25 * index, 0
    image.CountsSource, image.NumberOfSlices, image.ImageIndex = "EMISSION", 3, index + 1
    image.CorrectedImage, image.DecayCorrection, image.CollimatorType = ["DECY", "ATTN", "SCAT"], "START", "NONE"
    image.FrameReferenceTime, image.ActualFrameDuration, image.DecayFactor, image.PatientWeight = 0, 120000, 1.01, 75
    tracer = Dataset()
    tracer.Radiopharmaceutical, tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = "FDG", 2e8, 6586.2
    tracer.RadiopharmaceuticalStartTime, tracer.RadionuclidePositronFraction = INJECTION_TIME, 0.97
    tracer.RadiopharmaceuticalStartDateTime = f"20200304{INJECTION_TIME}"
    tracer.RadionuclideCodeSequence = Sequence([_code("77004003", "SCT", "^18^Fluorine")])
    image.RadiopharmaceuticalInformationSequence = Sequence([tracer])
    lying = _code("102538003", "SCT", "recumbent")
    lying.PatientOrientationModifierCodeSequence = Sequence([_code("40199007", "SCT", "supine")])
    image.PatientOrientationCodeSequence = Sequence([lying])
    image.PatientGantryRelationshipCodeSequence = Sequence([_code("102540008", "SCT", "headfirst")])


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
