"""The Task-Adaptive Transformer; it knows nothing of modalities, files or training."""

from bundle.tat.networks.tat import TAT

__all__ = ["TAT"]
