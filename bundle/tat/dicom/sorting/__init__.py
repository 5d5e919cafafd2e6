"""Which DICOM images are slices of anatomy, and which of them make up one volume."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.dicom.sorting.grouping import Volume as Volume
    from bundle.tat.dicom.sorting.grouping import group_series as group_series
    from bundle.tat.dicom.sorting.image_kind import not_a_slice as not_a_slice
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
