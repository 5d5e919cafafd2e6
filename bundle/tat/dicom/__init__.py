"""Reading and writing DICOM: no other package handles its elements. Only ``reader`` imports MONAI."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.dicom.header import DicomHeader as DicomHeader
    from bundle.tat.dicom.reader import DicomSeriesReader as DicomSeriesReader
    from bundle.tat.dicom.reader import read_series as read_series
    from bundle.tat.dicom.study import Series as Series
    from bundle.tat.dicom.study import Skipped as Skipped
    from bundle.tat.dicom.study import list_study as list_study
    from bundle.tat.dicom.writer import write_series as write_series
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
