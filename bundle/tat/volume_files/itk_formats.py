"""NRRD and MetaImage, read with SimpleITK."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from bundle.tat.dicom.geometry import LPS_TO_RAS
from bundle.tat.formats import is_nrrd
from bundle.tat.refusal import RefusedInputError
from bundle.tat.volume_files.volume_file import VolumeFile

_N_AXES: Final = 3
# Millimetres in the units that files name. Without one, it is mm.
_TO_MM: Final = MappingProxyType(
    {
        **dict.fromkeys(("", "?", "mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
        **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometre"), 0.001),
        **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
        **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    }
)
_NRRD_ENCODINGS: Final = frozenset({"raw", "gzip", "gz", "ascii", "text", "txt", "hex"})
# A header is text that an empty line ends; no header is longer than this [bytes].
_NRRD_HEADER_SIZE: Final = 2**20


def open_itk(path: Path) -> VolumeFile:
    """Read the header of an NRRD or MetaImage file.

    Args:
        path: a file, or a header whose voxels lie beside it.

    Returns:
        The volume, whose voxels are not read yet.

    Raises:
        RefusedInputError: the header cannot be read, or names a unit of length or an encoding that is not known.
    """
    fields = _nrrd_fields(path) if is_nrrd(path) else {}
    _check_encoding(fields.get("encoding", "raw"))
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise RefusedInputError(
            f"its header is missing or damaged{_reason(error)}: fetch or export it again"
        ) from error
    unit = reader.GetMetaData("ITK_VoxelUnits") if reader.HasMetaDataKey("ITK_VoxelUnits") else ""
    to_mm = _millimetres(_nrrd_units(fields) or [unit])
    return VolumeFile(
        path=path,
        format="NRRD" if is_nrrd(path) else "MetaImage",
        stored_shape=tuple(reader.GetSize()),
        affine=LPS_TO_RAS @ _affine(reader, to_mm),
        dtype=SimpleITK.GetPixelIDValueAsString(reader.GetPixelID()),
        read=lambda: _values(reader),
        n_values=reader.GetNumberOfComponents(),
    )


def _affine(reader: SimpleITK.ImageFileReader, to_mm: float) -> NDArray[np.float64]:
    """Array indices to LPS [mm]."""
    n_axes = reader.GetDimension()
    steps = np.reshape(reader.GetDirection(), (n_axes, n_axes)) * np.asarray(reader.GetSpacing())
    n_spatial = min(n_axes, _N_AXES)
    affine = np.eye(4)
    affine[:n_spatial, :n_spatial] = steps[:n_spatial, :n_spatial]
    affine[:n_spatial, 3] = reader.GetOrigin()[:n_spatial]
    affine[:_N_AXES] *= to_mm
    return affine


def _values(reader: SimpleITK.ImageFileReader) -> NDArray[np.float32]:
    """The voxels, first axis first; they outlive the image of ITK."""
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise RefusedInputError("its voxels are missing, damaged or cut short: fetch or export it again") from error
    return np.array(SimpleITK.GetArrayViewFromImage(image).T, dtype=np.float32, order="F")


def _nrrd_fields(path: Path) -> dict[str, str]:
    """Fields of an NRRD header, of which SimpleITK gives only some."""
    with path.open("rb") as file:
        header = re.split(rb"\r?\n\r?\n", file.read(_NRRD_HEADER_SIZE), maxsplit=1)[0].decode("utf-8", "replace")
    lines = [line.partition(":") for line in header.splitlines() if ": " in line and not line.startswith("#")]
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _nrrd_units(fields: dict[str, str]) -> list[str]:
    """Units of the axes of space, if the header names some; without a space, the axes themselves have units."""
    return re.findall(r'"([^"]*)"', fields.get("space units") or fields.get("units", ""))[:_N_AXES]


def _millimetres(units: list[str]) -> float:
    """Millimetres in the unit that all axes have."""
    known = {_TO_MM.get(unit.strip().lower()) for unit in units}
    (to_mm,) = known if len(known) == 1 else (None,)
    if to_mm is None:
        raise RefusedInputError(f"its units of length are {', '.join(units)}: save it in mm")
    return to_mm


def _check_encoding(encoding: str) -> None:
    if encoding.lower() not in _NRRD_ENCODINGS:
        raise RefusedInputError(f"its voxels are in the encoding {encoding}: save it as raw or gzip")


def _reason(error: RuntimeError) -> str:
    """The last message of the NRRD library, in brackets, without the name of its function; empty for one of ITK."""
    last = str(error).strip().splitlines()[-1]
    found = re.fullmatch(r"\[nrrd\] \w+: (.+)", last)
    return f" ({found[1]})" if found else ""
