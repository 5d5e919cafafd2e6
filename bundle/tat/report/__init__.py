"""The quality report of a run: one page that says which scans to rely on."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.report.writer import ReportWriter as ReportWriter
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
