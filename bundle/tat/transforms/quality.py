"""Measuring a restored scan, and giving a verdict on it."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray

from bundle.tat.metrics.regions import find_regions
from bundle.tat.metrics.uptake import HotPlace
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.quality.calibration import Calibration, read_calibration
from bundle.tat.quality.features import slice_features
from bundle.tat.quality.measures import (
    CaseMeasures,
    SliceMeasures,
    chosen_slices,
    measure_slice,
    tissue_shifts,
    uptake,
)
from bundle.tat.quality.record import QUALITY_KEY, Quality, ShownSlice, ShownSlices, to_json
from bundle.tat.quality.verdict import DO_NOT_USE, judge
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.in_distribution import KSPACE_KEPT
from bundle.tat.transforms.kept_input import kept_slices, like_restored
from bundle.tat.transforms.scale.intensity import N_OUTSIDE_RANGE, NETWORK_SCALE
from bundle.tat.transforms.volume import plain_tensor

ReportLevel = Literal["none", "brief", "thorough"]
# Entries of the engine: task representations of the slices, and the deviation of flips and rotations.
REPRESENTATION_KEY: Final = "task_representation"
DISAGREEMENT_KEY: Final = "disagreement"
# MONAI Label answers with this entry.
ANSWER_KEY: Final = "result"

Volume = NDArray[np.float32]


def parse_report_level(name: str, level: object) -> ReportLevel:
    """Read the level of the report.

    Args:
        name: of the setting, for the refusal.
        level: ``none``, ``brief`` or ``thorough``; ``False`` and ``None`` stand for ``none``.

    Raises:
        RefusedInputError: it is none of these.
    """
    word = "none" if level in (None, False) else str(level).lower()
    for known in get_args(ReportLevel):
        if word == known:
            return known  # type: ignore[no-any-return]  # of a Literal
    raise RefusedInputError(f"{name} is {level!r}: pass none, brief or thorough")


class MeasureQualityd(MapTransform):
    """Measure the quality of a restored scan, and give a verdict on it.

    No clean scan is needed. The result is the entry ``quality``, for the record, the report and the table. Its numbers
    are also put into ``result``, with which MONAI Label answers.

    Args:
        keys: restored images, in the unit and on the grid of the scan.
        image_key: the scan itself, in the same unit and on the same grid: all slices, or those that ``KeepInputd``
            keeps for this level.
        weights: file of the weights; the verdict uses the calibration beside it.
        level: ``none`` measures nothing, ``brief`` some slices of large scans, ``thorough`` all slices.
        refuse_doubtful: refuse a scan whose verdict is ``do not use``.
        slice_axis: array axis that the slices are stacked along, counted without the channel.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H, D)`` or ``(1, W, H)`` -> the same, no voxel is changed.

    Raises:
        RefusedInputError: the verdict is ``do not use`` and ``refuse_doubtful`` is set. Or ``refuse_doubtful`` is set
            although ``level`` is ``none``.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        image_key: str = "image",
        *,
        weights: str | None = None,
        level: ReportLevel = "brief",
        refuse_doubtful: bool = False,
        slice_axis: int = -1,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if refuse_doubtful and level == "none":
            raise RefusedInputError("refuse_doubtful needs a verdict, and report is none: pass --report brief")
        self.image_key = image_key
        self.weights = weights
        self.level = level
        self.refuse_doubtful = refuse_doubtful
        self.slice_axis = slice_axis % 3
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add measures and verdict; the images stay unchanged."""
        d = dict(data)
        if self.level == "none":
            return d
        for key in self.key_iterator(d):
            quality = self._measure(d[self.image_key], d[key], d)
            if self.refuse_doubtful and quality.judgement.verdict == DO_NOT_USE:
                raise RefusedInputError(
                    f"the restored scan should not be used: {'; '.join(quality.judgement.reasons)}; pass "
                    "--refuse_doubtful False to save it all the same"
                )
            d[QUALITY_KEY] = quality
            d[ANSWER_KEY] = {**(d.get(ANSWER_KEY) or {}), QUALITY_KEY: to_json(quality)}
        return d

    @cached_property
    def _calibration(self) -> Calibration:
        return read_calibration(self.weights)

    def _measure(self, image: torch.Tensor, restored: torch.Tensor, data: Mapping[Hashable, Any]) -> Quality:
        modality = Modality(data[self.modality_key])
        meta = restored.meta if isinstance(restored, MetaTensor) else {}
        before, after = (self._stack(volume) for volume in (like_restored(image, restored), restored))
        scale, bounds = float(meta.get(NETWORK_SCALE, 1.0)), INTENSITY_RANGES[modality]
        affine = self._affine(restored, after.ndim)
        sides = np.linalg.norm(affine[:3, :3], axis=0)
        kept = tuple(json.loads(meta.get(KSPACE_KEPT) or "[]"))
        chosen = chosen_slices(len(after), every=self.level == "thorough")
        # Index of each slice of the scan in ``before``.
        place = {index: number for number, index in enumerate(kept_slices(image) or range(len(after)))}
        pairs = {
            index: (
                (before[place[index]] * scale).clip(bounds.low, bounds.high),
                (after[index] * scale).clip(bounds.low, bounds.high),
            )
            for index in chosen
        }
        measured = [
            one
            for index, pair in pairs.items()
            if (one := measure_slice(*pair, modality, index=index, kspace_kept=kept)) is not None
        ]
        disagreement = self._disagreement(data, bounds.width)
        activity: tuple[float, float] | None = None
        places: tuple[HotPlace, ...] = ()
        if modality is Modality.PET:
            # Places are indices of the volume itself, for any axis of its slices.
            axis = self.slice_axis if restored.ndim == 4 else 2
            in_suv = (before, after) if scale == 1.0 else (before * scale, after * scale)
            was, became = (np.moveaxis(stack, 0, axis) for stack in in_suv)
            activity, places = uptake(was, became, np.insert(sides[:2], axis, sides[2]).tolist())
        measures = CaseMeasures(
            modality=modality,
            n_slices=len(after),
            slices=tuple(measured),
            pixel_sides=(float(sides[0]), float(sides[1])),
            share_outside=float(meta.get(N_OUTSIDE_RANGE, 0)) / max(restored.numel(), 1),
            tissue_shifts=tissue_shifts(list(pairs.values())) if modality is Modality.CT else {},
            activity=activity,
            places=places,
            kspace_kept=kept,
            representation=self._distance(data, modality),
            disagreement=_disagreement_in_body(
                disagreement, {index: restored for index, (_, restored) in pairs.items()}, modality
            ),
        )
        judgement = judge(measures, self._calibration)
        shown = self._shown(measured, modality, pairs, disagreement, affine) if measured else None
        return Quality(measures, judgement, shown)

    def _stack(self, volume: torch.Tensor) -> Volume:
        """A view of a volume with its slices first ``(D, H, W)``; a single slice is a stack of one."""
        plain = plain_tensor(volume)[0].detach().cpu().float()
        stack: Volume = (plain[None] if plain.ndim == 2 else plain.movedim(self.slice_axis, 0)).numpy()
        return stack

    def _affine(self, volume: torch.Tensor, n_axes: int) -> NDArray[np.float64]:
        """Affine of a volume whose slices are stacked along its last axis."""
        affine = np.asarray(volume.affine, dtype=np.float64) if isinstance(volume, MetaTensor) else np.eye(4)
        axis = self.slice_axis if n_axes == 3 else 2
        return affine[:, [*(other for other in range(3) if other != axis), axis, 3]]

    def _distance(self, data: Mapping[Hashable, Any], modality: Modality) -> float | None:
        known = self._calibration.modalities.get(modality)
        vectors = data.get(REPRESENTATION_KEY)
        if known is None or known.representation is None or vectors is None or not len(vectors):
            return None
        distance = float(np.median(known.representation.distances(vectors)))
        return distance if np.isfinite(distance) else None

    def _disagreement(self, data: Mapping[Hashable, Any], width: float) -> dict[int, Volume]:
        """Standard deviation of flips and rotations of each slice, in the unit of the modality's range."""
        found: Mapping[int, Volume] = data.get(DISAGREEMENT_KEY) or {}
        return {index: values * np.float32(width) for index, values in found.items()}

    def _shown(
        self,
        measured: list[SliceMeasures],
        modality: Modality,
        pairs: Mapping[int, tuple[Volume, Volume]],
        disagreement: Mapping[int, Volume],
        affine: NDArray[np.float64],
    ) -> ShownSlices:
        known = self._calibration.modalities.get(modality)

        def doubt(one: SliceMeasures) -> float:
            return one.body_ratio if known is None else known.harm.log_odds(slice_features(one))

        ordered = sorted(measured, key=doubt)
        worst, median = (self._cut(one.index, pairs, disagreement) for one in (ordered[-1], ordered[len(ordered) // 2]))
        return ShownSlices(worst, median, affine)

    def _cut(
        self, index: int, pairs: Mapping[int, tuple[Volume, Volume]], disagreement: Mapping[int, Volume]
    ) -> ShownSlice:
        image, restored = pairs[index]
        spread = disagreement.get(index)
        cropped = None if spread is None else spread[: image.shape[0], : image.shape[1]]
        return ShownSlice(index, image, restored, cropped)


def _disagreement_in_body(
    maps: Mapping[int, Volume], restored: Mapping[int, Volume], modality: Modality
) -> float | None:
    """Root mean square over the body only, since flips and rotations do not change how air is restored."""
    squares = []
    for index, spread in maps.items():
        # Slices were padded at the end, to sides that the network accepts.
        height, width = restored[index].shape
        if (regions := find_regions(restored[index], modality)) is not None:
            squares.append(spread[:height, :width][regions.body].astype(np.float64) ** 2)
    return float(np.sqrt(np.concatenate(squares).mean())) if squares else None
