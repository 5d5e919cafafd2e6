"""The Enhanced object that is derived from another: its frames, their description, and the file."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bundle.tat.dicom.complete_file import write_complete
from bundle.tat.dicom.enhanced.frames import PER_FRAME, SHARED, FrameViews
from bundle.tat.dicom.geometry import refine_plane
from bundle.tat.dicom.padding import set_stored_padding, stored_padding
from bundle.tat.dicom.pixels import N_BITS, set_pixels, unit_factor
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset

    from bundle.tat.dicom.enhanced.source import EnhancedSource
    from bundle.tat.kspace.fourier_grid import FourierGrid

# Longest value of an element, which has an even length below 2^32 - 1, PS3.5 7.1.1.
MAX_PIXEL_BYTES: Final = 2**32 - 2
_TRANSFORMATION: Final = "PixelValueTransformationSequence"
_MAPPING: Final = "RealWorldValueMappingSequence"
_RESCALE: Final = ("RescaleSlope", "RescaleIntercept", "RescaleType")
_PIXEL_FORMAT: Final = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
_PLANE: Final = ("Rows", "Columns", "PixelSpacing", "ImagePositionPatient")
_STORAGE: Final = (*_PIXEL_FORMAT, *_RESCALE, *_PLANE, "PixelPaddingValue", "PixelPaddingRangeLimit")
_FRAME_TYPES: Final = ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence")
# Rescale Type (0028,1054) where the source has none, PS3.3 C.7.6.16.2.9.
_RESCALE_TYPES: Final = MappingProxyType({"CT": "HU"})
# Enhanced MR may have these only in an ORIGINAL or MIXED image; the source, which is referred to, has them.
# PS3.3 C.8.13.4 (pulse sequence) and C.7.6.18.2 (bulk motion).
_OF_AN_ORIGINAL: Final = (
    "ArterialSpinLabelingContrast",
    "BulkMotionCompensationTechnique",
    "CoverageOfKSpace",
    "EchoPlanarPulseSequence",
    "EchoPulseSequence",
    "GeometryOfKSpaceTraversal",
    "MRAcquisitionType",
    "MultiPlanarExcitation",
    "MultipleSpinEcho",
    "NumberOfKSpaceTrajectories",
    "OversamplingPhase",
    "PhaseContrast",
    "PulseSequenceName",
    "RectilinearPhaseEncodeReordering",
    "SaturationRecovery",
    "SegmentedKSpaceTraversal",
    "SpectrallySelectedSuppression",
    "SteadyStatePulseSequence",
    "TimeOfFlightContrast",
)
_ENHANCED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.1"
# The parts of a concatenation are one object in several files; each derived file is a separate object.
_CONCATENATION: Final = (
    "ConcatenationUID",
    "SOPInstanceUIDOfConcatenationSource",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "ConcatenationFrameOffsetNumber",
)


class DerivedObject(NamedTuple):
    """An Enhanced object with new frames.

    Args:
        image: its data set without pixels: the source's.
        n_bytes: size of its pixels.
        n_clipped: values that were clipped to the range that can be stored.
        unit_factors: of the slices, by their number in the volume, see ``WrittenSeries``.
    """

    image: Dataset
    n_bytes: int
    n_clipped: int
    unit_factors: dict[int, float]


def derive_object(
    source: EnhancedSource,
    volume: NDArray[np.floating[Any]],
    pixels: BinaryIO,
    finer: tuple[FourierGrid, FourierGrid] | None = None,
) -> DerivedObject:
    """Replace the frames of an object, in their order, and the elements that describe their storage.

    Frames that are not of the volume are left out. Values are stored as ``set_pixels`` stores those of a slice.

    Args:
        source: what it is derived from; its data set is changed.
        volume: ``(columns, rows, slices)`` in the unit that the reader gives.
        pixels: file that takes the pixels, one frame after the other.
        finer: the grids of the volume's first and second axis, where they are finer than those of the source.

    Raises:
        RefusedInputError: the volume has another shape than the frames, or is too large for one file.
        OSError: the file cannot be written.

    Source:
        DICOM PS3.3 C.7.6.16.2.9 (pixel value transformation), C.7.6.16.2.11 (real world value mapping).
    """
    image, views = source.image, FrameViews(source.image)
    ordered = sorted(zip(source.frames, source.slices, strict=True))
    shape = (finer[1].n_fine, finer[0].n_fine) if finer else (int(image.Rows), int(image.Columns))
    n_bytes = N_BITS // 8 * len(ordered) * shape[0] * shape[1]
    if volume.shape[1::-1] != shape:
        raise RefusedInputError(
            f"it has another size than the volume, {volume.shape[0]} columns and {volume.shape[1]} rows: pass the "
            "sources of this volume"
        )
    if n_bytes > MAX_PIXEL_BYTES:
        raise RefusedInputError(
            f"its frames need {n_bytes} bytes, {MAX_PIXEL_BYTES} at most fit into one file: write slices with "
            "--dicom classic"
        )
    written, factors, n_clipped = [], {}, 0
    for frame, index in ordered:
        view = views.own(frame)
        if finer:
            refine_plane(view, rows=finer[1], columns=finer[0])
        factors[index] = unit_factor(view)
        n_clipped += set_pixels(view, volume[:, :, index].T, factors[index])
        pixels.write(view.PixelData)
        written.append(_storage_of(view))
    _keep_frames(image, [frame for frame, _ in ordered])
    _set_storage(image, written)
    if finer:
        _set_plane(image, written)
    return DerivedObject(image, n_bytes, n_clipped, factors)


def _storage_of(view: Dataset) -> Dataset:
    """Only the elements of a frame about its stored values."""
    from pydicom.dataset import Dataset as Storage

    return Storage({view[name].tag: view[name] for name in _STORAGE if name in view})


def _keep_frames(image: Dataset, frames: list[int]) -> None:
    """Leave out the groups of the other frames."""
    from pydicom.sequence import Sequence

    items = image[PER_FRAME].value
    setattr(image, PER_FRAME, Sequence([items[frame] for frame in frames]))
    image.NumberOfFrames = len(frames)
    for name in (*_CONCATENATION, *(_OF_AN_ORIGINAL if image.SOPClassUID == _ENHANCED_MR else ())):
        image.pop(name, None)


def _set_storage(image: Dataset, written: list[Dataset]) -> None:
    """Describe the pixels by the elements of the frames' views."""
    for name in _PIXEL_FORMAT:
        image[name] = written[0][name]
    paddings = {stored_padding(view) for view in written}
    set_stored_padding(image, paddings.pop() if len(paddings) == 1 else None)
    _set_transformation(image, written)
    if image.get("Modality") in ("CT", "PT"):
        _set_mapping(image, written)


def _set_plane(image: Dataset, written: list[Dataset]) -> None:
    """Place the frames as their views are placed."""
    shared, frames = _groups(image)
    image.Rows, image.Columns = written[0].Rows, written[0].Columns
    for groups in (shared, *frames):
        for measures in groups.get("PixelMeasuresSequence") or ():
            measures.PixelSpacing = written[0].PixelSpacing
    for groups, view in zip(frames, written, strict=True):
        groups.PlanePositionSequence = _one_item({"ImagePositionPatient": view.ImagePositionPatient})
    shared.pop("PlanePositionSequence", None)


def _set_transformation(image: Dataset, written: list[Dataset]) -> None:
    """Give each frame its rescale; one that all frames have is shared."""
    shared, frames = _groups(image)
    types = [_rescale_type(view, image, item) for view, item in zip(written, frames, strict=True)]
    for groups in (shared, *frames, image):
        for name in (_TRANSFORMATION, *_RESCALE):
            groups.pop(name, None)
    if "RescaleSlope" not in written[0]:
        return
    rescales = [
        (view.RescaleSlope, view.get("RescaleIntercept", 0), kind) for view, kind in zip(written, types, strict=True)
    ]
    holders = [shared] if len(set(rescales)) == 1 else frames
    for groups, rescale in zip(holders, rescales, strict=False):
        setattr(groups, _TRANSFORMATION, _one_item(dict(zip(_RESCALE, rescale, strict=True))))


def _rescale_type(view: Dataset, image: Dataset, groups: Dataset) -> str:
    """Unit of the rescale, Rescale Type (0028,1054), which a classic PET image does not have."""
    for holder in (view, *(groups.get(_TRANSFORMATION) or ()), *_shared_transformation(image)):
        if holder.get("RescaleType"):
            return str(holder.RescaleType)
    return _RESCALE_TYPES.get(str(image.get("Modality")), "US")


def _shared_transformation(image: Dataset) -> list[Dataset]:
    return [item for groups in image.get(SHARED) or () for item in groups.get(_TRANSFORMATION) or ()]


def _set_mapping(image: Dataset, written: list[Dataset]) -> None:
    """Map the new stored values to real world values. CT needs no mapping beside its rescale, so that none is kept."""
    from pydicom.sequence import Sequence

    shared, frames = _groups(image)
    was_shared = _first(shared.get(_MAPPING))
    for groups, view in zip(frames, written, strict=True):
        mapping = _first(groups.get(_MAPPING)) or was_shared
        groups.pop(_MAPPING, None)
        if mapping is None or image.get("Modality") == "CT":
            continue
        item = copy.deepcopy(mapping)
        for name in ("RealWorldValueLUTData", "DoubleFloatRealWorldValueFirstValueMapped"):
            item.pop(name, None)
        item.add_new((0x0040, 0x9216), "SS", -(2**15))  # Real World Value First Value Mapped
        item.add_new((0x0040, 0x9211), "SS", 2**15 - 1)  # Real World Value Last Value Mapped
        item.RealWorldValueSlope = float(view.RescaleSlope)
        item.RealWorldValueIntercept = float(view.RescaleIntercept)
        setattr(groups, _MAPPING, Sequence([item]))
    shared.pop(_MAPPING, None)
    image.pop(_MAPPING, None)


def refer_to_frames(image: Dataset, frames: list[int], series_uid: str) -> None:
    """Name for each frame the frame of the source that it is derived from, as the object names its source.

    Args:
        image: derived data set, see ``describe``; changed in place.
        frames: of the source, from 0, one for each frame.
        series_uid: of the source; empty if it has none.

    Source:
        DICOM PS3.3 C.7.6.16.2.6 (derivation image), C.8.16.1 (frame type), C.8.13.2.1 (source image evidence).
    """
    from pydicom.sequence import Sequence

    shared, per_frame = _groups(image)
    (whole,) = image.SourceImageSequence
    if series_uid and image.get("StudyInstanceUID"):
        image.SourceImageEvidenceSequence = _evidence(str(image.StudyInstanceUID), series_uid, whole)
    step = image.DerivationCodeSequence[-1]
    for groups, frame in zip(per_frame, frames, strict=True):
        source = copy.deepcopy(whole)
        source.ReferencedFrameNumber = frame + 1
        item = _one_item({"DerivationDescription": image.DerivationDescription})
        item[0].DerivationCodeSequence = Sequence([step])
        item[0].SourceImageSequence = Sequence([source])
        groups.DerivationImageSequence = Sequence([*(groups.get("DerivationImageSequence") or ()), *item])
    types = [item for groups in (shared, *per_frame) for name in _FRAME_TYPES for item in groups.get(name) or ()]
    for item in types:
        item.FrameType = derived_type(item.get("FrameType"))


def _evidence(study_uid: str, series_uid: str, source: Dataset) -> Any:
    """Study and series of the source image."""
    names = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")
    series = _one_item({"SeriesInstanceUID": series_uid})
    series[0].ReferencedSOPSequence = _one_item({name: source[name].value for name in names})
    study = _one_item({"StudyInstanceUID": study_uid})
    study[0].ReferencedSeriesSequence = series
    return study


def derived_type(types: Any) -> list[str]:
    """Image Type (0008,0008) or Frame Type (0008,9007) of a derived Enhanced object, which has four values.

    Args:
        types: of the source.

    Returns:
        Value 2 is always ``PRIMARY``, PS3.3 C.8.16.1.2.
    """
    rest = [str(word) for word in types or ()][2:4]
    return ["DERIVED", "PRIMARY", *rest, *["VOLUME", "NONE"][len(rest) :]]


def write_object(derived: DerivedObject, pixels: BinaryIO, path: Path) -> None:
    """Write an object; its pixels go from one file to the other.

    Args:
        derived: what to write, with the elements about the file.
        pixels: what ``derive_object`` has written.
        path: of the file.

    Raises:
        OSError: it cannot be written.
    """
    write_complete(path, derived.image)
    pixels.seek(0)
    with path.open("ab") as file:
        # Pixel Data (7FE0,0010), Explicit VR Little Endian; nothing that is kept comes after it.
        file.write(b"\xe0\x7f\x10\x00OW\x00\x00" + derived.n_bytes.to_bytes(4, "little"))
        shutil.copyfileobj(pixels, file)


def _groups(image: Dataset) -> tuple[Dataset, list[Dataset]]:
    """The shared functional groups, which are made where there are none, and those of each frame."""
    if not image.get(SHARED):
        setattr(image, SHARED, _one_item({}))
    return image[SHARED].value[0], list(image[PER_FRAME].value)


def _one_item(values: dict[str, Any]) -> Any:
    """A sequence with one item."""
    from pydicom.dataset import Dataset as Item
    from pydicom.sequence import Sequence

    item = Item()
    for name, value in values.items():
        setattr(item, name, value)
    return Sequence([item])


def _first(items: Any) -> Dataset | None:
    """The first item of a sequence, if there is one."""
    return next(iter(items or ()), None)
