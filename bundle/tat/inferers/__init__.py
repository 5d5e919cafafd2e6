"""Running a two-dimensional network over the slices of a volume."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.inferers.precision import AutocastInferer as AutocastInferer
    from bundle.tat.inferers.slices import RestorationSliceInferer as RestorationSliceInferer
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
