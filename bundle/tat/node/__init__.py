"""A DICOM node, which receives series, restores them and sends derived series. The network needs the extra ``node``."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.node.command import serve as serve
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
