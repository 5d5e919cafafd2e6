"""What a scan is, read without its voxels where the format allows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monai.data import NibabelReader
from numpy.typing import NDArray

from bundle.tat.dicom.open import first_line, looks_like_dicom
from bundle.tat.dicom.geometry import LPS_TO_RAS, affine_lps
from bundle.tat.dicom.study import find_series
from bundle.tat.formats import is_nifti, is_nrrd, is_pickle
from bundle.tat.data.layouts.authors import PickledSliceReader
from bundle.tat.modality import Modality, parse_modality
from bundle.tat.refusal import RefusedInputError


@dataclass(frozen=True)
class ScanInfo:
    """Geometry of a scan.

    Args:
        shape: sizes of the array axes, two or more.
        affine: array indices to RAS millimetres, ``(4, 4)``.
        modality: what a DICOM header says, (0008,0060); ``None`` for other formats.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    modality: Modality | None = None

    @property
    def n_slices(self) -> int:
        """Slices along the last of three axes; 1 for a single slice."""
        return self.shape[2] if len(self.shape) > 2 else 1


def read_scan_info(path: Path) -> ScanInfo:
    """Read what is to be known before the voxels are.

    Args:
        path: a NIfTI, NRRD or DICOM file, a pickled slice (read whole: its size stands behind its values), or a folder
            with one DICOM series (the elements before the pixels of every slice are read).

    Returns:
        The header.

    Raises:
        RefusedInputError: the path does not exist, is of another format, or its header cannot be read.
    """
    if not path.exists():
        raise RefusedInputError(f"{path} does not exist")
    try:
        if is_nifti(path):
            return _nifti_header(path)
        if is_nrrd(path):
            return _nrrd_header(path)
        if is_pickle(path):
            return ScanInfo(PickledSliceReader().read(path).shape, LPS_TO_RAS)
        if path.is_dir() or looks_like_dicom(path):
            return _dicom_header(path)
    except RefusedInputError:
        raise
    except Exception as error:
        # As in LoadScand: decoders raise anything, and any of it means that this file cannot be used.
        raise RefusedInputError(f"cannot read {path}: {first_line(error)}") from error
    raise RefusedInputError(f"{path} is neither NIfTI, NRRD nor DICOM")


def _nifti_header(path: Path) -> ScanInfo:
    image = NibabelReader().read(str(path))
    n_bytes = image.dataobj.offset + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
    if path.suffix.lower() == ".nii" and path.stat().st_size < n_bytes:
        raise RefusedInputError(f"cannot read {path}: it has {path.stat().st_size} bytes of {n_bytes}")
    return ScanInfo(tuple(image.shape), np.asarray(image.affine, dtype=np.float64))


def _nrrd_header(path: Path) -> ScanInfo:
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
    return ScanInfo(tuple(reader.GetSize()), LPS_TO_RAS @ affine)


def _dicom_header(path: Path) -> ScanInfo:
    images = find_series([path]).slices()
    shape = (images[0].columns, images[0].rows, len(images))
    said = images[0].modality
    return ScanInfo(shape, LPS_TO_RAS @ affine_lps(images), parse_modality(said) if said else None)
