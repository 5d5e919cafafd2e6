"""A volume in a file that is not DICOM: its header, and its voxels, which are read later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.dicom.open import first_line
from bundle.tat.refusal import RefusedInputError
from bundle.tat.volume_files.nifti_forms import NiftiForms

_N_AXES: Final = 3


@dataclass(frozen=True)
class VolumeFile:
    """A volume whose header was read.

    Args:
        path: its file; of a pair, either.
        format: ``NIfTI``, ``Analyze``, ``FreeSurfer``, ``NRRD`` or ``MetaImage``.
        stored_shape: sizes of the array axes in the file; colours are no axis.
        affine: array indices to RAS [mm], ``(4, 4)``, converted from the file's unit of length.
        dtype: type of the stored values.
        read: gives the stored values, physical ones where the file has a slope, of ``stored_shape``.
        n_values: values of a voxel; colours have three.
        forms: of a NIfTI header, in millimetres; ``None`` for other formats.
        note: for the user, about its geometry: a sentence without a subject; mostly empty.
    """

    path: Path
    format: str
    stored_shape: tuple[int, ...]
    affine: NDArray[np.float64]
    dtype: str
    read: Callable[[], NDArray[np.float32]]
    n_values: int = 1
    forms: NiftiForms | None = None
    note: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the array axes. A fourth one and those after it are left out where their size is 1."""
        return (*self.stored_shape[:_N_AXES], *(size for size in self.stored_shape[_N_AXES:] if size != 1))

    def values(self) -> NDArray[np.float32]:
        """Read the voxels.

        Returns:
            Of ``shape``, in float32; the values of the first axis lie together in memory.

        Raises:
            RefusedInputError: they are complex, colours or vectors, or cannot be decoded.
        """
        self.check_real()
        if self.n_values > 1:
            raise RefusedInputError(
                f"{self.path} has {self.n_values} values at each voxel (channels or colours): pass one scalar volume"
            )
        with refusing_unreadable(self.path):
            return self.read().reshape(self.shape, order="F")

    def check_real(self) -> None:
        """Refuse a complex image, whose imaginary part would be lost in float32 without a message.

        Raises:
            RefusedInputError: it is complex.
        """
        check_real(self.path, self.dtype)


def check_real(path: Path, dtype: str) -> None:
    """Refuse a complex image, whose imaginary part would be lost in float32 without a message.

    Args:
        path: of the image.
        dtype: type of its stored values.

    Raises:
        RefusedInputError: it is complex.
    """
    if "complex" in dtype:
        raise RefusedInputError(f"{path} is complex: pass its magnitude")


@contextmanager
def refusing_unreadable(path: Path) -> Iterator[None]:
    """Refuse a file in one sentence if it cannot be read; decoders raise anything from EOFError to RuntimeError.

    Args:
        path: the file.

    Raises:
        RefusedInputError: anything was raised inside; a refusal that does not name the file gets its path in front.
    """
    try:
        yield
    except RefusedInputError as error:
        if str(path) in str(error):
            raise
        raise RefusedInputError(f"cannot read {path}: {error}") from error
    except Exception as error:
        raise RefusedInputError(f"cannot read {path}: {first_line(error)}") from error
