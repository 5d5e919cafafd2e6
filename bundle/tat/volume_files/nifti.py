"""NIfTI read and written, and the other formats that nibabel reads: Analyze 7.5 and FreeSurfer."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from bundle.tat.refusal import RefusedInputError
from bundle.tat.volume_files.nifti_forms import AFFINE_TOLERANCE, NiftiForms
from bundle.tat.volume_files.volume_file import VolumeFile

# Millimetres in the units of length of xyzt_units; its lower three bits hold them. 0 is unknown, and taken for mm.
_TO_MM: Final = MappingProxyType({1: 1000.0, 2: 1.0, 3: 0.001})
_LENGTH_BITS: Final = 0b111
# NIfTI-1 holds its forms in float32, NIfTI-2 in float64.
_ROUNDING: Final = 1e-6


def open_nibabel(path: Path) -> VolumeFile:
    """Read the header of a file that nibabel knows.

    The affine is the one that nibabel gives: the sform where its code is above 0, else the qform where its code is
    above 0, else the voxel sizes alone. A header whose forms disagree is read, with a note.

    Args:
        path: NIfTI, Analyze 7.5, or FreeSurfer ``.mgz`` or ``.mgh``.

    Returns:
        The volume, whose voxels are not read yet.

    Raises:
        RefusedInputError: an uncompressed file is shorter than its header says.
    """
    # Not mapped into memory: a file that is replaced later must not change a scan that was read.
    image = nibabel.load(path, mmap=False)
    if not isinstance(image, SpatialImage) or not isinstance(image.dataobj, ArrayProxy):
        raise RefusedInputError("it holds no volume: pass an image file")
    _check_length(image, image.dataobj.offset)
    affine, forms, note = _geometry(image)
    dtype = image.get_data_dtype()
    return VolumeFile(
        path=path,
        format=_format(image),
        stored_shape=tuple(int(size) for size in image.shape),
        affine=affine,
        dtype=dtype.name,
        read=lambda: np.asanyarray(image.dataobj).astype(np.float32, copy=False),
        n_values=len(dtype.names or "1"),
        forms=forms,
        note=note,
    )


def write_nifti(
    values: NDArray[np.float32], affine: NDArray[np.float64], path: Path, forms: NiftiForms | None = None
) -> None:
    """Write a NIfTI-1 file, in millimetres.

    Args:
        values: ``(W, H[, D])``.
        affine: array indices to RAS [mm], ``(4, 4)``.
        path: file to write.
        forms: of the header that the affine was read from. They are written unchanged, with their codes, if they lead
            to ``affine``. Otherwise, and without them, both forms are made from ``affine``.

    Raises:
        OSError: the file system does not let us.
    """
    # nibabel itself, since MONAI's writer changes the number of dimensions of slices and one-slice volumes.
    header = None if forms is None else forms.header(values.shape)
    if header is None or not np.allclose(header.get_best_affine(), affine, rtol=_ROUNDING, atol=AFFINE_TOLERANCE):
        header = NiftiForms.of_affine(affine).header(values.shape)
    # Given an affine, nibabel would write forms of its own.
    nibabel.save(nibabel.Nifti1Image(values, None, header), path)


def _format(image: SpatialImage) -> str:
    if isinstance(image, nibabel.MGHImage):
        return "FreeSurfer"
    return "NIfTI" if isinstance(image.header, nibabel.Nifti1Header) else "Analyze"


def _geometry(image: SpatialImage) -> tuple[NDArray[np.float64], NiftiForms | None, str]:
    """Affine in millimetres, forms of the result, and a note about them."""
    header, affine = image.header, np.array(image.affine, dtype=np.float64)
    if isinstance(header, nibabel.Nifti1Header):
        to_mm = _TO_MM.get(int(header["xyzt_units"]) & _LENGTH_BITS, 1.0)
        forms = NiftiForms.of_header(header, to_mm)
        if to_mm != 1.0:
            affine = forms.header(image.shape).get_best_affine()
        return affine, forms, forms.note(image.shape)
    if isinstance(image, nibabel.MGHImage):
        return affine, None, ""
    return affine, _analyze_forms(image, affine), _ANALYZE_NOTE


_ANALYZE_NOTE: Final = (
    "is Analyze 7.5, whose header has no left and right: the first axis is assumed to run to the left, as nibabel does"
)


def _analyze_forms(image: SpatialImage, affine: NDArray[np.float64]) -> NiftiForms:
    """Forms that say no more than the file does: codes of 0, unless SPM has written an origin or a ``.mat``."""
    aligned = NiftiForms.of_affine(affine, "aligned")
    if not np.allclose(affine, image.header.get_base_affine()):
        return aligned
    return NiftiForms(
        pixdim=(1.0, *aligned.pixdim[1:]),
        quatern=(0.0, 0.0, 0.0),
        qoffset=(0.0, 0.0, 0.0),
        qform_code=0,
        srow=((0.0,) * 4,) * 3,
        sform_code=0,
    )


def _check_length(image: SpatialImage, offset: int) -> None:
    """Refuse a file that was cut, if it is not compressed."""
    path = Path(image.file_map["image"].filename or "")
    if path.suffix.lower() not in (".nii", ".img", ".mgh"):
        return
    n_bytes = offset + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
    if path.stat().st_size < n_bytes:
        raise RefusedInputError(f"it has {path.stat().st_size} bytes of {n_bytes}: fetch or export it again")
