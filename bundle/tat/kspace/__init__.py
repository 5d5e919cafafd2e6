"""The k-space of MR images: truncation, how much of it an image holds, and finer grids of the same field of view."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.kspace.fourier_grid import FourierGrid as FourierGrid
    from bundle.tat.kspace.support import AxisSupport as AxisSupport
    from bundle.tat.kspace.support import estimate_support as estimate_support
    from bundle.tat.kspace.truncation import central_lines as central_lines
    from bundle.tat.kspace.truncation import crop_kspace as crop_kspace
    from bundle.tat.kspace.truncation import truncate_kspace as truncate_kspace
    from bundle.tat.kspace.truncation import zero_fill as zero_fill
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
