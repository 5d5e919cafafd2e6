"""What a DICOM image is instead of a slice of anatomy, by the elements of its header about its kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bundle.tat.dicom.private_elements import PrivateElement, private_text

if TYPE_CHECKING:
    from pydicom import Dataset

# Elements that are read beside those of every header.
KIND_TAGS: Final = (
    "AcquisitionMatrix",
    "ComplexImageComponent",
    "ImageType",
    "RescaleType",
    "SeriesType",
    "VolumeBasedCalculationTechnique",
    "VolumetricProperties",
)

_NO_SLICE: Final = "which is no slice of a volume"
_NO_INTENSITY: Final = "whose values are no intensities of the scan"

_LOCALIZER: Final = f"a localizer (scout), {_NO_SLICE}"
_PROJECTION: Final = f"a projection, {_NO_SLICE}"
_RENDERED: Final = f"a rendered image, {_NO_SLICE}"
_FUSION: Final = f"a fusion of two scans, {_NO_SLICE}"
_CAPTURE: Final = f"a report or capture, {_NO_SLICE}"
_CURVED: Final = f"a curved reformation, {_NO_SLICE}"
_DISTORTED: Final = f"a distorted volume, {_NO_SLICE}"
_DIFFUSION: Final = f"a map of diffusion, {_NO_INTENSITY}"
_PERFUSION: Final = f"a map of perfusion, {_NO_INTENSITY}"
_STATISTICS: Final = f"a map of statistics, {_NO_INTENSITY}"
_PARAMETRIC: Final = f"a parametric map, {_NO_INTENSITY}"
_SPECTRAL: Final = f"a spectral map, {_NO_INTENSITY}"
_CALCULATED: Final = f"calculated from several images, {_NO_INTENSITY}"
_PHASE: Final = f"a phase image, {_NO_INTENSITY}"
_VELOCITY: Final = f"a velocity image, {_NO_INTENSITY}"
_PART: Final = f"the real or imaginary part of an image, {_NO_INTENSITY}"
_MIXED: Final = f"a mixture of magnitude and phase, {_NO_INTENSITY}"

# Parts of the values of Image Type (0008,0008), and of Frame Type (0008,9007), of images that are no slices.
# Manufacturers write blanks, hyphens or underscores, and their own words around: `CSA MIP`, `MIP_SAG`, `MIP THIN`.
# PS3.3 C.7.6.1.1.2, C.8.2.1.1.1 (CT), C.8.3.1.1.1 (MR), C.8.16.1 (Enhanced CT and MR).
_KINDS: Final = MappingProxyType(
    {
        _LOCALIZER: r"LOCALI[SZ]ER|SCOUT|TOPOGRAM|SURVIEW|SCANOGRAM",
        _PROJECTION: r"M(AX|IN|N)?IP|M(AX|IN) IP|PROJECTION|ROTATE|ROTATING|ROTATION|RAYSUM",
        _RENDERED: r"\bVRT?\b|\bSSD\b|RENDER|SHADED|3D EDITOR",
        _FUSION: r"\bFUSION|\bFUSED",
        _CAPTURE: r"SCREEN|CAPTURE|\bPROT\b|DOSE (INFO|REPORT)|BLACK IMAGE",
        _DIFFUSION: r"\bE?ADC\b|\bFA\b|\bCOLFA\b|\bTENSOR$|\bANISO\b|\bATTNTD\b",
        _PERFUSION: r"\b(REL|R)?(CB[FV]|MTT)\b|\bTTP\b|\bTMAX\b|\bPBP\b|\bGBP\b|\bKTRANS\b",
        _STATISTICS: r"STD DEVIATION|R COEFFICIENT|Z SCORE|T TEST",
        _PARAMETRIC: r"\bMAP\b|QUANTITY|FAT FRACTION|\bR2 ?STAR\b",
    }
)
# Values of Image Type that stand alone. In and opposed phase of Dixon are magnitudes, and so are PHASE CORRECTED ones.
_MR_KINDS: Final = MappingProxyType({_PHASE: r"P|PHASE", _VELOCITY: r"V|.*VELOCITY.*", _PART: r"R|REAL|I|IMAGINARY"})
# PS3.3 C.8.2.1.1.1 and C.8.15.3.1.1.4 (multi-energy CT), and what programs for dual energy write.
_CT_KINDS: Final = MappingProxyType(
    {_SPECTRAL: (r"IODINE|Z ?EFF|EFF ATOMIC|ELECTRON DENSITY|MAT SPECIFIC|MAT FRACTIONAL|MAT VALUE BASED|RHO Z")}
)
# Derived pixel contrast, value 4 of Frame Type: terms with this meaning only there. PS3.3 C.8.16.1.4, C.8.13.3.1.1.4.
_CONTRASTS: Final = MappingProxyType(
    {
        _CALCULATED: r"DIVISION|MASKED|MAXIMUM|MINIMUM|MULTIPLICATION|SUBTRACTION",
        _PERFUSION: r"NEI",
        _STATISTICS: r"TCS",
        _PARAMETRIC: r"PERCENTAGE|T1|T2|T2 STAR",
    }
)
_N_OF_CONTRAST: Final = 3
# Volume Based Calculation Technique (0008,9207), PS3.3 C.8.16.2.1.3. MPR gives slices.
_TECHNIQUES: Final = MappingProxyType(
    {
        "MAX_IP": _PROJECTION,
        "MIN_IP": _PROJECTION,
        "VOLUME_RENDER": _RENDERED,
        "SURFACE_RENDER": _RENDERED,
        "CURVED_MPR": _CURVED,
    }
)
# Complex Image Component (0008,9208), PS3.3 C.8.13.3.1.2.
_COMPONENTS: Final = MappingProxyType({"PHASE": _PHASE, "REAL": _PART, "IMAGINARY": _PART, "MIXED": _MIXED})
# Rescale Type (0028,1054) of CT: Hounsfield units, those of multi-energy CT, and unspecified, which is what older
# programs write for Hounsfield units. PS3.3 C.11.1.1.2.
_HOUNSFIELD: Final = frozenset({"", "HU", "HU_MOD", "US"})

# Siemens puts all slices of a volume side by side into one image. Its scanners and others also leave the word in
# slices that were separated (rordenlab/dcm2niix issue 553), so the word alone is not enough.
_MOSAIC_MATRICES: Final = 3
# No scanner has a larger field of view [mm]; sixteen tiles of a head do.
_LARGEST_FIELD_OF_VIEW: Final = 550.0
N_IN_MOSAIC: Final = PrivateElement(0x0019, "SIEMENS MR HEADER", 0x0A)
# Tags to read, so that the private element is found in one of the usual two blocks.
PRIVATE_TAGS: Final = tuple(0x00190000 + element for block in (0x10, 0x11) for element in (block, (block << 8) + 0x0A))


def not_a_slice(image: Dataset, kind: str) -> str | None:
    """Why an image is no slice of anatomy.

    Args:
        image: pydicom data set with ``KIND_TAGS`` and ``PRIVATE_TAGS``, or more; a frame of an Enhanced object as a
            classic image, see ``FrameViews``.
        kind: name of its SOP class.

    Returns:
        What it is, for the end of a sentence; ``None`` for an image that is or may be a slice.
    """
    return next(_reasons(image, kind), None)


def _reasons(image: Dataset, kind: str) -> Iterator[str]:
    """All reasons why an image is no slice."""
    values = [re.sub(r"[^A-Z0-9]+", " ", value.upper()).strip() for value in _texts(image.get("ImageType"))]
    modality = str(image.get("Modality") or "")
    yield from _matching(_KINDS, values, re.search)
    if modality == "PT" and "REPROJECTION" in _texts(image.get("SeriesType")):  # PS3.3 C.8.9.1.1.3
        yield _PROJECTION
    yield from _reasons_of_frame(image, values)
    if modality == "MR":
        yield from _reasons_of_mr(image, values)
    if modality == "CT":
        yield from _reasons_of_ct(image, values)
    if "Secondary Capture" in kind:
        yield "a secondary capture, which is no measurement"
    if image.get("SamplesPerPixel", 1) not in (None, 1):
        colours = str(image.get("PhotometricInterpretation") or "unknown")
        yield f"{colours} pixels: only MONOCHROME2 is restored"


def _reasons_of_frame(image: Dataset, values: Sequence[str]) -> Iterator[str]:
    """Reasons from elements that only frames of Enhanced objects have."""
    if technique := _TECHNIQUES.get(str(image.get("VolumeBasedCalculationTechnique") or "").upper()):
        yield technique
    if image.get("VolumetricProperties") == "DISTORTED":
        yield _DISTORTED
    if image.get("FrameType"):
        yield from _matching(_CONTRASTS, values[_N_OF_CONTRAST:], re.fullmatch)


def _matching(
    kinds: Mapping[str, str], values: Sequence[str], match: Callable[[str, str], re.Match[str] | None]
) -> Iterator[str]:
    """The reasons whose pattern one of the values matches."""
    yield from (reason for reason, pattern in kinds.items() if any(match(pattern, value) for value in values))


def _reasons_of_mr(image: Dataset, values: Sequence[str]) -> Iterator[str]:
    """Images of MR that are no magnitudes, or many slices in one."""
    # The first two values say whether it is original and primary.
    yield from _matching(_MR_KINDS, values[2:], re.fullmatch)
    if component := _COMPONENTS.get(str(image.get("ComplexImageComponent") or "").upper()):
        yield component
    if "MOSAIC" in values and _is_mosaic(image):
        yield f"a mosaic of all slices of a volume, {_NO_SLICE}: convert it with dcm2niix and pass the NIfTI"


def _reasons_of_ct(image: Dataset, values: Sequence[str]) -> Iterator[str]:
    """Images of CT whose values are no Hounsfield units."""
    yield from _matching(_CT_KINDS, values, re.search)
    unit = str(image.get("RescaleType") or "").strip().upper()
    if unit not in _HOUNSFIELD:
        yield f"a map in {unit} by Rescale Type (0028,1054): only CT in HU is restored"


def _is_mosaic(image: Dataset) -> bool:
    """Whether an image with the word MOSAIC is one: wider than any field of view, or than what was acquired."""
    rows, columns = int(image.get("Rows") or 0), int(image.get("Columns") or 0)
    matrix = max((int(size) for size in image.get("AcquisitionMatrix") or ()), default=0)
    if matrix:
        n_matrices = min(rows, columns) / matrix
        if n_matrices >= _MOSAIC_MATRICES:
            return True
        if n_matrices < _MOSAIC_MATRICES - 1:
            return False
    n_tiles = private_text(image, N_IN_MOSAIC)
    if n_tiles.isdigit() and int(n_tiles) > 1:
        return True
    spacing = [float(size) for size in image.get("PixelSpacing") or ()]
    return len(spacing) == 2 and min(rows * spacing[0], columns * spacing[1]) > _LARGEST_FIELD_OF_VIEW


def _texts(value: object) -> list[str]:
    """The values of a text element, one or several."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value] if isinstance(value, Iterable) else []
