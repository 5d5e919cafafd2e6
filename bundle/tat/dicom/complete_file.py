"""Writing a complete DICOM file with any pydicom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pydicom import Dataset

# pydicom 3 renamed the arguments that ask for a complete file.
_FIRST_WITH_NEW_NAMES: Final = 3


def write_complete(target: Path | BinaryIO, image: Dataset) -> None:
    """Write a data set as a complete file, in Explicit VR Little Endian.

    Args:
        target: path, or an open file.
        image: data set with the elements about its file.

    Raises:
        OSError: it cannot be written.
    """
    import pydicom

    if int(pydicom.__version__.split(".")[0]) < _FIRST_WITH_NEW_NAMES:
        image.is_little_endian, image.is_implicit_VR = True, False
        pydicom.dcmwrite(target, image, write_like_original=False)
    else:
        pydicom.dcmwrite(target, image, enforce_file_format=True)
