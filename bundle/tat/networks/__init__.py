"""The Task-Adaptive Transformer (TAT), independent of modalities, files and training."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.networks.residual import ResidualRestorer as ResidualRestorer
    from bundle.tat.networks.tat import TAT as TAT
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
