"""Enhanced CT, MR and PET objects with the functional groups of their kind, for tests of what is read and derived."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

from tests import dicom_sources
from tests.dicom_sources import Change, save

ENHANCED = {
    "CT": "1.2.840.10008.5.1.4.1.1.2.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "PT": "1.2.840.10008.5.1.4.1.1.130",
}
LEGACY = {
    "CT": "1.2.840.10008.5.1.4.1.1.2.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128.1",
}
FRAME_TYPES = {"CT": "CTImageFrameTypeSequence", "MR": "MRImageFrameTypeSequence", "PT": "PETFrameTypeSequence"}
MOMENT = f"20200304{dicom_sources.SCAN_TIME}"
# What a classic image says by itself and an Enhanced object in its functional groups, or nowhere.
CLASSIC_ONLY = (
    "AcquisitionDate",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ActualFrameDuration",
    "BodyPartExamined",
    "CollimatorType",
    "ConvolutionKernel",
    "CorrectedImage",
    "CountsSource",
    "DecayCorrection",
    "DecayFactor",
    "EchoTime",
    "EchoTrainLength",
    "FrameReferenceTime",
    "ImageIndex",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "KVP",
    "MRAcquisitionType",
    "NumberOfSlices",
    "PixelSpacing",
    "RepetitionTime",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "ScanOptions",
    "ScanningSequence",
    "SequenceVariant",
    "SeriesType",
    "SliceLocation",
    "SliceThickness",
    "Units",
    "WindowCenter",
    "WindowWidth",
    "XRayTubeCurrent",
)

Frame = Callable[[Dataset, int], None]


def item(**values: object) -> Items:
    """A sequence with one item."""
    one = Dataset()
    for name, value in values.items():
        setattr(one, name, value)
    return Items([one])


def code(value: str, scheme: str, meaning: str) -> Items:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def write_enhanced(
    folder: Path,
    stored: np.ndarray,
    modality: str,
    *,
    n_files: int = 1,
    order: Sequence[int] | None = None,
    is_shared: bool = True,
    legacy: bool = False,
    syntax: str = ExplicitVRLittleEndian,
    change: Change | None = None,
    change_frame: Frame | None = None,
) -> list[Path]:
    """Write 16-bit pixels (slices, rows, columns) as frames of Enhanced objects, the same series as ``write_source``.

    ``order`` says which slice each frame is. What all frames share stands in the shared functional groups, or with
    every frame. ``change`` gets each object and its number, ``change_frame`` the groups of a frame and its slice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    slices = np.array_split(range(len(stored)) if order is None else order, n_files)
    paths = []
    for number, of_file in enumerate(slices):
        image = _object(modality, stored, number, legacy=legacy)
        shared = _shared_groups(image, modality)
        frames = [_frame_groups(image, modality, int(index)) for index in of_file]
        if legacy:
            for frame in frames:
                frame.UnassignedPerFrameConvertedAttributesSequence = item(SliceLocation=float(image.SliceLocation))
        for frame, index in zip(frames, of_file, strict=True):
            for element in () if is_shared else shared:
                frame[element.tag] = element
            if change_frame:
                change_frame(frame, int(index))
        _take_apart(image)
        image.SharedFunctionalGroupsSequence = Items([shared if is_shared else Dataset()])
        image.PerFrameFunctionalGroupsSequence, image.NumberOfFrames = Items(frames), len(frames)
        image.add_new("PixelData", "OW", np.ascontiguousarray(stored[of_file]).astype(stored.dtype).tobytes())
        if change:
            change(image, number)
        paths.append(folder / f"object{number}.dcm")
        save(image, paths[-1], syntax)
    return paths


def _object(modality: str, stored: np.ndarray, number: int, *, legacy: bool) -> Dataset:
    """Patient, study, series, equipment and what concerns all frames."""
    image = dicom_sources.image_of(modality, number, len(stored))
    image.SOPClassUID = (LEGACY if legacy else ENHANCED)[modality]
    image.SOPInstanceUID, image.InstanceNumber = f"1.2.826.0.6.{number + 1}", number + 1
    image.Rows, image.Columns = stored.shape[1:]
    image.PixelRepresentation = int(stored.dtype.kind == "i")
    image.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    image.AcquisitionDateTime, image.AcquisitionDuration = MOMENT, 60.0
    image.PixelPresentation, image.VolumetricProperties = "MONOCHROME", "VOLUME"
    image.VolumeBasedCalculationTechnique, image.ContentQualification = "NONE", "RESEARCH"
    image.PresentationLUTShape, image.BurnedInAnnotation = "IDENTITY", "NO"
    image.AcquisitionContextSequence = Items([])
    image.DimensionOrganizationSequence = item(DimensionOrganizationUID="1.2.826.0.7")
    pointers = [(0x00209056, 0x00209111), (0x00209057, 0x00209111)]
    image.DimensionIndexSequence = Items(
        [
            item(DimensionOrganizationUID="1.2.826.0.7", DimensionIndexPointer=pointer, FunctionalGroupPointer=group)[0]
            for pointer, group in pointers
        ]
    )
    return image


def _shared_groups(image: Dataset, modality: str) -> Dataset:
    groups = Dataset()
    groups.PixelMeasuresSequence = item(
        PixelSpacing=image.PixelSpacing, SliceThickness=image.SliceThickness, SpacingBetweenSlices=2.5
    )
    groups.PlaneOrientationSequence = item(ImageOrientationPatient=image.ImageOrientationPatient)
    groups.FrameAnatomySequence = item(FrameLaterality="U", AnatomicRegionSequence=code("69536005", "SCT", "Head"))
    groups.FrameVOILUTSequence = item(WindowCenter=40, WindowWidth=400)
    if modality != "PT":
        slope, intercept = float(image.get("RescaleSlope", 1)), float(image.get("RescaleIntercept", 0))
        kind = "HU" if modality == "CT" else "US"
        groups.PixelValueTransformationSequence = item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType=kind)
    frame_type = item(
        FrameType=list(image.ImageType),
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    if modality == "MR":
        frame_type[0].ComplexImageComponent, frame_type[0].AcquisitionContrast = "MAGNITUDE", "T1"
    setattr(groups, FRAME_TYPES[modality], frame_type)
    return groups


def _frame_groups(image: Dataset, modality: str, index: int) -> Dataset:
    """Place and content of a frame; PET has a slope of its own for each."""
    groups = Dataset()
    groups.FrameContentSequence = item(
        StackID="1",
        InStackPositionNumber=index + 1,
        DimensionIndexValues=[1, index + 1],
        FrameAcquisitionDateTime=MOMENT,
        FrameReferenceDateTime=MOMENT,
        FrameAcquisitionDuration=120000.0,
    )
    groups.PlanePositionSequence = item(ImagePositionPatient=[-10.0, -20.0, 30.0 + 2.5 * index])
    if modality == "PT":
        slope = 0.5 + 0.25 * index
        groups.PixelValueTransformationSequence = item(RescaleSlope=slope, RescaleIntercept=0, RescaleType="US")
        mapping = item(LUTExplanation="activity", LUTLabel="BQML", RealWorldValueSlope=slope)
        mapping[0].add_new(0x00409216, "SS", -(2**15))
        mapping[0].add_new(0x00409211, "SS", 2**15 - 1)
        mapping[0].RealWorldValueIntercept = 0.0
        mapping[0].MeasurementUnitsCodeSequence = code("Bq/ml", "UCUM", "Becquerels/milliliter")
        groups.RealWorldValueMappingSequence = mapping
        groups.PETFrameCorrectionFactorsSequence = item(DecayFactor=1.01)
    return groups


def _take_apart(image: Dataset) -> None:
    """Remove what the groups say now, and say the corrections of PET as Enhanced PET does."""
    if image.Modality == "PT":
        for name in ("DecayCorrected", "AttenuationCorrected", "ScatterCorrected"):
            setattr(image, name, "YES")
        image.DecayCorrectionDateTime = MOMENT
    if image.Modality == "MR":
        image.ComplexImageComponent, image.AcquisitionContrast = "MAGNITUDE", "T1"
        image.PulseSequenceName, image.EchoPulseSequence, image.PhaseContrast = "se", "SPIN", "NO"
    for name in CLASSIC_ONLY:
        image.pop(name, None)
