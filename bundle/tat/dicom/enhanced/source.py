"""What a derived object is written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bundle.tat.dicom.attributes_removed import remove_stale_attributes
from bundle.tat.dicom.enhanced.frames import FrameViews
from bundle.tat.dicom.lossy import propagate_lossy_compression

if TYPE_CHECKING:
    from pydicom import Dataset

_LOSSY: Final = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True)
class EnhancedSource:
    """One Enhanced object of a volume, without its pixels.

    Args:
        image: its data set, from ``keep_object``.
        frames: indices of its frames in the volume, from 0.
        slices: which slice of the volume each is.
    """

    image: Dataset
    frames: tuple[int, ...]
    slices: tuple[int, ...]

    @property
    def first_frame(self) -> Dataset:
        """The first of the frames as a classic image."""
        return FrameViews(self.image)[self.frames[0]]


def keep_object(image: Dataset, frame: Dataset) -> Dataset:
    """Reduce an Enhanced data set to what its derived object takes over.

    Args:
        image: data set without pixels; changed in place.
        frame: any of its frames with its pixels as they are in the file, for the marks of lossy compression.

    Returns:
        The same data set.
    """
    propagate_lossy_compression(frame)
    for name in _LOSSY:
        if name in frame:
            image[name] = frame[name]
    remove_stale_attributes(image)
    return image
