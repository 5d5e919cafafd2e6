"""What a DICOM image is instead of a slice of anatomy, by what its header says of its kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bundle.tat.dicom.private_elements import PrivateElement, private_text

if TYPE_CHECKING:
    from pydicom import Dataset

# Elements that are asked for, beside those of every header.
KIND_TAGS: Final = ("AcquisitionMatrix", "ComplexImageComponent", "ImageType", "RescaleType", "SeriesType")

_NO_SLICE: Final = "which is no slice of a volume"
_NO_INTENSITY: Final = "whose values are no intensities of the scan"

# Parts of the values of Image Type (0008,0008) and why an image that has one is no slice. Manufacturers write blanks,
# hyphens or underscores, and words of their own around: `CSA MIP`, `MIP_SAG`, `MIP THIN`. PS3.3 C.7.6.1.1.2,
# C.8.2.1.1.1 (CT), C.8.3.1.1.1 (MR), C.8.16.1.3 (enhanced CT and MR).
_KINDS: Final = MappingProxyType(
    {
        f"a localizer (scout), {_NO_SLICE}": r"LOCALI[SZ]ER|SCOUT|TOPOGRAM|SURVIEW|SCANOGRAM",
        f"a projection, {_NO_SLICE}": r"M(AX|IN|N)?IP|M(AX|IN) IP|PROJECTION|ROTATE|ROTATING|ROTATION|RAYSUM",
        f"a rendered image, {_NO_SLICE}": r"\bVRT?\b|\bSSD\b|RENDER|SHADED|3D EDITOR",
        f"a fusion of two scans, {_NO_SLICE}": r"\bFUSION|\bFUSED",
        f"a report or capture, {_NO_SLICE}": r"SCREEN|CAPTURE|\bPROT\b|DOSE (INFO|REPORT)|BLACK IMAGE",
        f"a parametric map, {_NO_INTENSITY}": (
            r"\bMAP\b|\bE?ADC\b|\bFA\b|\bCOLFA\b|\bTENSOR$|QUANTITY|STD DEVIATION|FAT FRACTION|\bR2 ?STAR\b"
            r"|\b(REL|R)?CB[FV]\b|\b(REL)?MTT\b|\bTTP\b|\bTMAX\b|\bPBP\b|\bGBP\b|\bKTRANS\b"
        ),
    }
)
# Values of Image Type that stand alone. In and opposed phase of Dixon are magnitudes, and so are PHASE CORRECTED ones.
_MR_KINDS: Final = MappingProxyType(
    {
        f"a phase image, {_NO_INTENSITY}": r"P|PHASE",
        f"a velocity image, {_NO_INTENSITY}": r"V|.*VELOCITY.*",
        f"the real or imaginary part of an image, {_NO_INTENSITY}": r"R|REAL|I|IMAGINARY",
    }
)
# PS3.3 C.8.2.1.1.1, value 4 of multi-energy CT, and what programs for dual energy write.
_CT_KINDS: Final = MappingProxyType(
    {
        f"a spectral map, {_NO_INTENSITY}": (
            r"IODINE|Z ?EFF|EFF ATOMIC|ELECTRON DENSITY|MAT SPECIFIC|MAT FRACTIONAL|MAT VALUE BASED|RHO Z"
        )
    }
)
# Complex Image Component (0008,9208).
_COMPONENTS: Final = MappingProxyType({"PHASE": "P", "REAL": "R", "IMAGINARY": "I"})
# Rescale Type (0028,1054) of CT: Hounsfield units, those of multi-energy CT, and unspecified, which is what older
# programs write for Hounsfield units. PS3.3 C.11.1.1.2.
_HOUNSFIELD: Final = frozenset({"", "HU", "HU_MOD", "US"})

# Siemens puts all slices of a volume side by side into one image. Its scanners and others leave the word behind in
# slices that were taken apart (rordenlab/dcm2niix issue 553), so the word alone tells nothing.
_MOSAIC_MATRICES: Final = 3
# No scanner sees so far [mm]; sixteen tiles of a head do.
_LARGEST_FIELD_OF_VIEW: Final = 550.0
N_IN_MOSAIC: Final = PrivateElement(0x0019, "SIEMENS MR HEADER", 0x0A)
# What a header is read for, so that the private element is found in one of the usual two blocks.
PRIVATE_TAGS: Final = tuple(0x00190000 + element for block in (0x10, 0x11) for element in (block, (block << 8) + 0x0A))


def not_a_slice(image: Dataset, kind: str) -> str | None:
    """Why an image is no slice of anatomy.

    Args:
        image: pydicom data set with ``KIND_TAGS`` and ``PRIVATE_TAGS``, or more.
        kind: name of its SOP class.

    Returns:
        What it is, for the end of a sentence; ``None`` for a slice, or what may be one.
    """
    return next(_reasons(image, kind), None)


def _reasons(image: Dataset, kind: str) -> Iterator[str]:
    values = [re.sub(r"[^A-Z0-9]+", " ", value.upper()).strip() for value in _texts(image.get("ImageType"))]
    modality = str(image.get("Modality") or "")
    yield from _matching(_KINDS, values, re.search)
    if modality == "PT" and "REPROJECTION" in _texts(image.get("SeriesType")):  # PS3.3 C.8.9.1.1.3
        yield f"a projection, {_NO_SLICE}"
    if modality == "MR":
        yield from _reasons_of_mr(image, values)
    if modality == "CT":
        yield from _reasons_of_ct(image, values)
    if "Secondary Capture" in kind:
        yield "a secondary capture, which is no measurement"
    if image.get("SamplesPerPixel", 1) not in (None, 1):
        colours = str(image.get("PhotometricInterpretation") or "unknown")
        yield f"{colours} pixels: only MONOCHROME2 is restored"


def _matching(
    kinds: Mapping[str, str], values: Sequence[str], match: Callable[[str, str], re.Match[str] | None]
) -> Iterator[str]:
    """The reasons whose pattern one of the values matches."""
    yield from (reason for reason, pattern in kinds.items() if any(match(pattern, value) for value in values))


def _reasons_of_mr(image: Dataset, values: Sequence[str]) -> Iterator[str]:
    """Images of MR that are no magnitudes, or many slices in one."""
    component = _COMPONENTS.get(str(image.get("ComplexImageComponent") or "").upper(), "")
    # The first two values tell whether it is original and primary.
    yield from _matching(_MR_KINDS, [*values[2:], component], re.fullmatch)
    if "MOSAIC" in values and _is_mosaic(image):
        yield f"a mosaic of all slices of a volume, {_NO_SLICE}: convert it with dcm2niix and pass the NIfTI"


def _reasons_of_ct(image: Dataset, values: Sequence[str]) -> Iterator[str]:
    """Images of CT whose values are no Hounsfield units."""
    yield from _matching(_CT_KINDS, values, re.search)
    unit = str(image.get("RescaleType") or "").strip().upper()
    if unit not in _HOUNSFIELD:
        yield f"a map in {unit} by Rescale Type (0028,1054): only CT in HU is restored"


def _is_mosaic(image: Dataset) -> bool:
    """Whether an image with the word MOSAIC is one: wider than any scanner sees, or than what was acquired."""
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
