"""The network in files that run without this code; the output of each file is compared with the network's."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.export.files import export_files as export_files
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
