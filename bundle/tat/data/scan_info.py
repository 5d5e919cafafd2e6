"""What a scan is, read without its voxels where the format allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import nibabel
import numpy as np
from monai.data import NibabelReader
from numpy.typing import NDArray

from bundle.tat.data.layouts.authors import PickledSliceReader
from bundle.tat.dicom.geometry import LPS_TO_RAS, affine_lps
from bundle.tat.dicom.open import first_line, looks_like_dicom
from bundle.tat.dicom.study import Series, find_series
from bundle.tat.formats import is_nifti, is_nrrd, is_pickle
from bundle.tat.modality import INTENSITY_RANGES, Modality, parse_modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.walk import check_there

# Terms of Units (0054,1001), PS3.3 C.8.9.1, in the words of people; other terms are told as they stand.
_PET_UNITS: Final = MappingProxyType({"BQML": "Bq/ml", "CNTS": "counts", "GML": "SUV"})


@dataclass(frozen=True)
class ScanInfo:
    """What the header of a scan says.

    Args:
        shape: sizes of the array axes, two or more.
        affine: array indices to RAS millimetres, ``(4, 4)``.
        format: ``NIfTI``, ``NRRD``, ``DICOM`` or ``pickle``.
        dtype: type of the stored values.
        n_values: values of a voxel; colours have three.
        modality: what a DICOM header says, (0008,0060); ``None`` for other formats.
        unit: of the intensities, as a DICOM header says; ``None`` for other formats.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    format: str
    dtype: str
    n_values: int = 1
    modality: Modality | None = None
    unit: str | None = None

    @property
    def n_slices(self) -> int:
        """Slices along the last of three axes; 1 for a single slice."""
        return self.shape[2] if len(self.shape) > 2 else 1

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Distances between neighbouring voxels along the array axes [mm]."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return x, y, z

    @property
    def orientation(self) -> str:
        """Where the array axes point to, such as ``LPS``: to the left, back and head of the patient."""
        return "".join(code or "?" for code in nibabel.aff2axcodes(self.affine))


def read_scan_info(source: Path | Sequence[Path]) -> ScanInfo:
    """Read what is to be known before the voxels are.

    Args:
        source: a NIfTI, NRRD or DICOM file, a pickled slice (read whole: its size stands behind its values), a folder
            with one DICOM series, or the files of one (the elements before the pixels of every slice are read).

    Returns:
        The header.

    Raises:
        RefusedInputError: the path does not exist, is of another format, or its header cannot be read.
    """
    path = source if isinstance(source, Path) else source[0]
    check_there(path)
    try:
        if is_nifti(path):
            return _nifti_info(path)
        if is_nrrd(path):
            return _nrrd_info(path)
        if is_pickle(path):
            return ScanInfo(PickledSliceReader().read(path).shape, LPS_TO_RAS, "pickle", "float32")
        if path.is_dir() or looks_like_dicom(path):
            return series_info(find_series([source] if isinstance(source, Path) else source))
    except RefusedInputError:
        raise
    except Exception as error:
        # As in LoadScand: decoders raise anything, and any of it means that this file cannot be used.
        raise RefusedInputError(f"cannot read {path}: {first_line(error)}") from error
    raise RefusedInputError(f"{path} is neither NIfTI, NRRD nor DICOM")


def _nifti_info(path: Path) -> ScanInfo:
    image = NibabelReader().read(str(path))
    dtype = image.get_data_dtype()
    n_bytes = image.dataobj.offset + int(np.prod(image.shape)) * dtype.itemsize
    if path.suffix.lower() == ".nii" and path.stat().st_size < n_bytes:
        raise RefusedInputError(f"cannot read {path}: it has {path.stat().st_size} bytes of {n_bytes}")
    affine = np.asarray(image.affine, dtype=np.float64)
    return ScanInfo(tuple(image.shape), affine, "NIfTI", dtype.name, n_values=len(dtype.names or "1"))


def _nrrd_info(path: Path) -> ScanInfo:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    n_axes = reader.GetDimension()
    affine = np.eye(4)
    n_spatial = min(n_axes, 3)
    direction = np.reshape(reader.GetDirection(), (n_axes, n_axes)) * np.asarray(reader.GetSpacing())
    affine[:n_spatial, :n_spatial] = direction[:n_spatial, :n_spatial]
    affine[:n_spatial, 3] = reader.GetOrigin()[:n_spatial]
    dtype = SimpleITK.GetPixelIDValueAsString(reader.GetPixelID())
    return ScanInfo(
        tuple(reader.GetSize()), LPS_TO_RAS @ affine, "NRRD", dtype, n_values=reader.GetNumberOfComponents()
    )


def series_info(series: Series, *, allow_uneven: bool = False) -> ScanInfo:
    """What is to be known of a DICOM series that was found; nothing is read again.

    Args:
        series: what the search found.
        allow_uneven: take slices whose distances vary; the affine has their mean distance.

    Returns:
        The header.

    Raises:
        RefusedInputError: see ``Series.slices``.
    """
    images = series.slices(allow_uneven=allow_uneven)
    first = images[0]
    modality = parse_modality(first.modality) if first.modality else None
    unit = INTENSITY_RANGES[modality].unit if modality else None
    if modality is Modality.PET:
        unit = _PET_UNITS.get(first.unit[2], first.unit[2])
    shape = (first.columns, first.rows, len(images))
    affine = LPS_TO_RAS @ affine_lps(images)
    return ScanInfo(shape, affine, "DICOM", first.stored_type, modality=modality, unit=unit)
