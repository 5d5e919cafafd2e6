"""Keeping the parts of a scan that are needed after the network has written over it."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any, Final

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from bundle.tat.modality import Modality
from bundle.tat.quality.measures import chosen_slices
from bundle.tat.transforms.volume import plain_tensor

# Entry of an item with the unchanged scan, or with some of its slices.
INPUT_KEY: Final = "scan"
# Metadata entry: indices of the kept slices, as JSON, since MONAI's batches do not change text; absent if all are kept.
KEPT_SLICES: Final = "kept_slices"


class KeepInputd(MapTransform):
    """Copy a scan, or the slices that a brief report measures, before its values are changed.

    Scaling, network and inverse write over the image after this. So a volume of thousands of slices is in memory only
    once. Transforms that blend, compare or measure use the copy.

    Args:
        keys: key of the image, one, in its physical unit and on the grid of the result.
        level: of the report, see ``MeasureQualityd``. A brief report of PET needs all slices, since its hottest places
            may be anywhere.
        strength: see ``BlendWithInputd``; below 1 it needs all slices.
        data_consistency: weight of ``KspaceConsistencyd``; above 0 it needs all slices.
        slice_axis: array axis that the slices are stacked along, counted without the channel.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H, D)`` -> the same, and the entry ``scan``: ``(1, W, H, D)``, or with fewer slices. There is no such
        entry where no copy is needed.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        level: str = "brief",
        strength: float = 1.0,
        data_consistency: float = 0.0,
        slice_axis: int = -1,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.needs_all = level == "thorough" or strength < 1.0 or data_consistency > 0.0
        self.needs_some = level != "none"
        self.slice_axis = slice_axis % 3
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the copy; the image stays unchanged."""
        d = dict(data)
        if not self.needs_all and not self.needs_some:
            return d
        for key in self.key_iterator(d):
            # A single slice has no axis along which slices are stacked.
            every = self.needs_all or Modality(d[self.modality_key]) is Modality.PET or 1 in d[key].shape[1:]
            d[INPUT_KEY] = copy_slices(d[key], 1 + self.slice_axis, every=every)
        return d


def copy_slices(image: torch.Tensor, axis: int, *, every: bool) -> MetaTensor:
    """Copy the slices of a volume that are measured.

    Args:
        image: of any shape.
        axis: that the slices are stacked along.
        every: copy all.

    Returns:
        The slices, stacked along the same axis. If some are missing, ``kept_slices`` of the metadata names the others.
    """
    n_slices = image.shape[axis]
    chosen = chosen_slices(n_slices, every=every)
    plain, is_whole = plain_tensor(image), len(chosen) == n_slices
    kept = MetaTensor(plain.clone() if is_whole else plain.index_select(axis, torch.tensor(chosen)))
    if isinstance(image, MetaTensor):
        kept.copy_meta_from(image)
    if not is_whole:
        kept.meta[KEPT_SLICES] = json.dumps(chosen)
    return kept


def like_restored(kept: torch.Tensor, restored: torch.Tensor) -> torch.Tensor:
    """A kept scan with the axes of its restored image, which has only two if the scan is a single slice.

    Args:
        kept: see ``copy_slices``, or a whole volume.
        restored: image in the unit and on the grid of the scan.
    """
    return kept if kept.ndim == restored.ndim else kept.squeeze(-1)


def kept_slices(kept: torch.Tensor) -> list[int] | None:
    """Indices of the kept slices of a scan.

    Args:
        kept: see ``copy_slices``, or a whole volume.

    Returns:
        Their indices in the scan; ``None`` where all slices are kept.
    """
    meta = kept.meta if isinstance(kept, MetaTensor) else {}
    chosen: list[int] | None = json.loads(meta.get(KEPT_SLICES) or "null")
    return chosen
