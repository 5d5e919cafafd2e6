"""What a scan is, read without its voxels where the format allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from bundle.tat.data.layouts.authors import PickledSliceReader
from bundle.tat.dicom.geometry import LPS_TO_RAS, affine_lps
from bundle.tat.dicom.open import looks_like_dicom
from bundle.tat.dicom.study import Series, find_series
from bundle.tat.formats import is_pickle, is_volume
from bundle.tat.modality import INTENSITY_RANGES, Modality, parse_modality
from bundle.tat.volume_files.open import open_volume
from bundle.tat.volume_files.volume_file import refusing_unreadable
from bundle.tat.walk import check_there

# Usual names for terms of Units (0054,1001), PS3.3 C.8.9.1; other terms are shown as they are.
_PET_UNITS: Final = MappingProxyType({"BQML": "Bq/ml", "CNTS": "counts", "GML": "SUV"})


@dataclass(frozen=True)
class ScanInfo:
    """What the header of a scan says.

    Args:
        shape: sizes of the array axes, two or more; from the fourth on, only those above 1.
        affine: array indices to RAS millimetres, ``(4, 4)``.
        format: ``DICOM``, ``pickle``, or as ``VolumeFile`` has it.
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
    """Read the header of a scan.

    Args:
        source: a file of ``open_volume``, a DICOM file, a pickled slice, a folder with one DICOM series, or the files
            of one series. A pickled slice is read whole, since its size comes after its values. Of DICOM, the elements
            before the pixels of every slice are read.

    Returns:
        The header.

    Raises:
        RefusedInputError: the path does not exist, is of another format, or its header cannot be read.
    """
    path = source if isinstance(source, Path) else source[0]
    check_there(path)
    with refusing_unreadable(path):
        if is_pickle(path):
            return ScanInfo(PickledSliceReader().read(path).shape, LPS_TO_RAS, "pickle", "float32")
        if path.is_dir() or (not is_volume(path) and looks_like_dicom(path)):
            return series_info(find_series([source] if isinstance(source, Path) else source))
        volume = open_volume(path)
    return ScanInfo(volume.shape, volume.affine, volume.format, volume.dtype, n_values=volume.n_values)


def series_info(series: Series, *, allow_uneven: bool = False) -> ScanInfo:
    """The header of a DICOM series that was found; nothing is read again.

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
