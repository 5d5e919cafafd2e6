"""A DICOM node: series come in over the network, derived series go out. The network needs the extra ``node``."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.node.command import serve as serve
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
