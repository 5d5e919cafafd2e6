"""Pictures of scans."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.visualize.slices import draw_case as draw_case
    from bundle.tat.visualize.slices import draw_scan as draw_scan
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
