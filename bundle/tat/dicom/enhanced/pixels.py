"""The frames of one Enhanced file with their pixels, one at a time: the pixels of all are never in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from bundle.tat.dicom.enhanced.frames import FrameViews
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

# pydicom 3 renamed the function that separates compressed frames, and no longer needs the byte order.
_FIRST_WITH_NEW_NAMES: Final = 3
_PIXEL_DATA: Final = (0x7FE0, 0x0010)
# Tag, value representation and length of an element with much data, PS3.5 7.1.
_EXPLICIT_HEADER_BYTES: Final = 12
_IMPLICIT_HEADER_BYTES: Final = 8

Bytes = Callable[[int], bytes]


class OpenedFrames:
    """The frames of a file that is open.

    Args:
        image: Enhanced data set without its pixels.
        stored: gives the stored bytes of a frame.
    """

    def __init__(self, image: Dataset, stored: Bytes) -> None:
        self.image = image
        self._views = FrameViews(image)
        self._stored = stored

    def __getitem__(self, index: int) -> Dataset:
        """A frame as a classic image with its pixels, as they are stored.

        Args:
            index: of the frame, from 0.

        Raises:
            RefusedInputError: the file ends before the frame does.
        """
        import pydicom

        view = self._views[index]
        view.file_meta = self.image.file_meta
        syntax: UID = self.image.file_meta.TransferSyntaxUID
        if int(pydicom.__version__.split(".")[0]) < _FIRST_WITH_NEW_NAMES:
            view.is_little_endian, view.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
        view.add_new(_PIXEL_DATA, "OB" if syntax.is_compressed else "OW", self._stored(index))
        return view


@contextmanager
def open_frames(path: Path) -> Iterator[OpenedFrames]:
    """Open an Enhanced file whose header has been read and checked before.

    Args:
        path: the file.

    Yields:
        Its frames, for as long as the file is open.

    Raises:
        RefusedInputError: it ends before its pixels.
    """
    import pydicom

    with path.open("rb") as file:
        image = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        syntax: UID = image.file_meta.TransferSyntaxUID
        if syntax.is_deflated:
            image = pydicom.dcmread(path, force=True)
            stored = _of_bytes(image, bytes(image.PixelData))
        elif syntax.is_compressed:
            file.seek(0)
            whole = pydicom.dcmread(file, force=True)
            stored = _of_fragments(whole.PixelData, len(FrameViews(image)))
        else:
            stored = _of_file(image, file)
        image.pop("PixelData", None)
        yield OpenedFrames(image, stored)


def frame_bytes(image: Dataset) -> int:
    """Size of one frame that is not compressed.

    Args:
        image: Enhanced data set.
    """
    return int(image.Rows) * int(image.Columns) * int(image.get("SamplesPerPixel") or 1) * int(image.BitsAllocated) // 8


def _of_file(image: Dataset, file: BinaryIO) -> Bytes:
    """Frames that lie one after the other in a file, which stands at the beginning of the element."""
    is_implicit = image.file_meta.TransferSyntaxUID.is_implicit_VR
    start = file.tell() + (_IMPLICIT_HEADER_BYTES if is_implicit else _EXPLICIT_HEADER_BYTES)
    n_bytes = frame_bytes(image)
    if os.fstat(file.fileno()).st_size < start + n_bytes * len(FrameViews(image)):
        raise RefusedInputError("it ends before its last frame: fetch it again")

    def read(index: int) -> bytes:
        file.seek(start + index * n_bytes)
        return file.read(n_bytes)

    return read


def _of_bytes(image: Dataset, pixels: bytes) -> Bytes:
    """Frames that lie one after the other in memory."""
    n_bytes = frame_bytes(image)
    if len(pixels) < n_bytes * len(FrameViews(image)):
        raise RefusedInputError("it ends before its last frame: fetch it again")
    return lambda index: pixels[index * n_bytes : (index + 1) * n_bytes]


def _of_fragments(pixels: bytes, n_frames: int) -> Bytes:
    """Frames that are compressed, each by itself."""
    import pydicom
    from pydicom import encaps

    if int(pydicom.__version__.split(".")[0]) < _FIRST_WITH_NEW_NAMES:
        frames = list(encaps.generate_pixel_data_frame(pixels, n_frames))
    else:
        frames = list(encaps.generate_frames(pixels, number_of_frames=n_frames))
    if len(frames) != n_frames:
        raise RefusedInputError(f"it has {len(frames)} of {n_frames} compressed frames: fetch it again")
    return lambda index: encaps.encapsulate([frames[index]])
