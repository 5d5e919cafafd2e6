"""Folders and lists that scans and pairs are found in."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.data.layouts.aapm import list_aapm as list_aapm
    from bundle.tat.data.layouts.authors import list_reference as list_reference
    from bundle.tat.data.layouts.clean_folders import list_clean as list_clean
    from bundle.tat.data.layouts.ixi import list_ixi as list_ixi
    from bundle.tat.data.layouts.paired_folders import pair_folders as pair_folders
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
