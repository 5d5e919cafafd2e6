"""What scans are and whether they would be restored, without restoring them."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.info.describe import ScanDescription as ScanDescription
    from bundle.tat.info.report import report_scans as report_scans
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
