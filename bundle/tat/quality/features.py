"""The features that a verdict is computed from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from bundle.tat.modality import Modality
from bundle.tat.quality.measures import CaseMeasures, SliceMeasures

# Ratios enter as logarithms; smaller ones count as this.
_SMALLEST: Final = 1e-3

FEATURES: Final[Mapping[str, Callable[[SliceMeasures], float | None]]] = MappingProxyType(
    {
        "edge_ratio": lambda one: _log(one.edge_ratio),
        "body_ratio": lambda one: _log(one.body_ratio),
        "removed_share": lambda one: _log(one.removed_share),
        "noise": lambda one: _log(one.noise_before),
        "autocorrelation": lambda one: one.autocorrelation,
        "blur": lambda one: one.blur,
        "mean_frequency": lambda one: one.mean_frequency,
        "kspace_change": lambda one: None if one.kspace_change is None else _log(one.kspace_change),
    }
)
# Features of each modality's verdict. They were chosen on validation cases, with each person left out in turn.
USED: Final = MappingProxyType(
    {
        Modality.CT: ("edge_ratio", "removed_share", "noise", "mean_frequency"),
        Modality.MRI: ("edge_ratio", "removed_share", "noise", "mean_frequency", "kspace_change"),
        Modality.PET: (
            *("edge_ratio", "body_ratio", "removed_share", "noise", "autocorrelation", "blur", "mean_frequency"),
        ),
    }
)


def slice_features(one: SliceMeasures) -> dict[str, float | None]:
    """All features of a slice by their names; ``None`` where one cannot be computed."""
    return {name: feature(one) for name, feature in FEATURES.items()}


def case_features(measures: CaseMeasures) -> dict[str, float | None]:
    """The features of a scan: the median of those of its slices.

    Args:
        measures: of the scan.

    Returns:
        Feature -> value, in the order of ``USED``; ``None`` where no slice has the feature.
    """
    columns = {name: [FEATURES[name](one) for one in measures.slices] for name in USED[measures.modality]}
    known = {name: [value for value in values if value is not None] for name, values in columns.items()}
    return {name: float(np.median(values)) if values else None for name, values in known.items()}


def _log(ratio: float) -> float:
    return float(np.log2(max(ratio, _SMALLEST)))
