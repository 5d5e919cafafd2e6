"""TAT, the Task-Adaptive Transformer for medical image restoration, as a MONAI bundle."""

from bundle.tat.version import VERSION as __version__

__all__ = ["__version__"]
