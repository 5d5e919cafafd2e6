"""Enhanced and Legacy Converted objects: their frames read as classic slices, and written as objects again."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.dicom.enhanced.classic import classic_slice as classic_slice
    from bundle.tat.dicom.enhanced.derived import DerivedObject as DerivedObject
    from bundle.tat.dicom.enhanced.derived import derive_object as derive_object
    from bundle.tat.dicom.enhanced.frames import FrameViews as FrameViews
    from bundle.tat.dicom.enhanced.frames import has_frames as has_frames
    from bundle.tat.dicom.enhanced.pixels import open_frames as open_frames
    from bundle.tat.dicom.enhanced.source import EnhancedSource as EnhancedSource
    from bundle.tat.dicom.enhanced.volumes import split_volumes as split_volumes
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
