"""Checking whether a scan is of the kind that the network was trained on."""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from bundle.tat.dicom.acquisition_matrix import ACQUIRED_SHARES
from bundle.tat.kspace.support import AxisSupport, estimate_support
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.trained_kind import SIZE_TOLERANCE, TrainedKind
from bundle.tat.transforms.naming_source import naming_source
from bundle.tat.transforms.upsample import ACQUIRED_KEY, FINER_PLANE, FinerPlane
from bundle.tat.transforms.volume import plain_tensor

logger = logging.getLogger(__name__)

# Uncertainty of a share of k-space that is estimated from the pixels.
KEPT_TOLERANCE: Final = 0.045

# Number of slices that are checked, evenly spaced; more would take seconds and give the same result.
N_SLICES_LOOKED_AT: Final = 16

# Header and pixels of zero-filled scans agree this well. Filters and partial Fourier make the pixels show less.
MAX_DIFFERENCE_TO_HEADER: Final = 0.1

# Finer grids that a refusal recommends, the simplest first.
ADVISED_UPSAMPLING: Final = (2.0, 3.0, 4.0, 1.5)

# Metadata entry of MRI: share of k-space that each in-plane axis holds, as JSON; null where it is unknown.
KSPACE_KEPT: Final = "kspace_kept"


class CheckInDistributiond(MapTransform):
    """Refuse MRI whose k-space differs from that of training, and warn of pixel sizes outside the range of training.

    A network that was trained to complete k-space would change the detail of a scan whose k-space is complete. How much
    of k-space a scan holds is estimated from its pixels, see ``bundle.tat.kspace.support``, and written into the
    metadata. Where the pixels give no estimate, Acquisition Matrix (0018,1310) is used.

    Args:
        keys: images in any unit, before padding.
        trained: what the weights were trained on.
        slice_axis: array axis that the slices are stacked along, counted without the channel.
        enabled: whether MRI with another part of k-space is refused; otherwise it gives a warning.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H, D)`` -> the same, no voxel is changed.

    Raises:
        RefusedInputError: an MRI holds another part of k-space than the weights complete.
    """

    def __init__(
        self,
        keys: KeysCollection,
        trained: TrainedKind,
        slice_axis: int = -1,
        enabled: bool = True,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.trained = trained
        self.slice_axis = slice_axis % 3
        self.enabled = enabled
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Check each image."""
        d = dict(data)
        modality = Modality(d[self.modality_key])
        for key in self.key_iterator(d):
            image = d[key]
            with naming_source(image):
                self._check_pixel_size(image, modality)
                if modality is Modality.MRI:
                    kept = self._shares_held(image, d.get(ACQUIRED_KEY))
                    if isinstance(image, MetaTensor):
                        image.meta[KSPACE_KEPT] = json.dumps(kept)
                        _compare_with_header(kept, image.meta)
                    self._check_resolution(kept, image)
        return d

    def _check_pixel_size(self, image: object, modality: Modality) -> None:
        if modality not in self.trained.pixel_sizes or not isinstance(image, MetaTensor):
            return
        low, high = self.trained.pixel_sizes[modality]
        sides = [float(side) for axis, side in enumerate(image.pixdim) if axis != self.slice_axis]
        if min(sides) < low * (1.0 - SIZE_TOLERANCE) or max(sides) > high * (1.0 + SIZE_TOLERANCE):
            logger.warning(
                "pixels of %.3g x %.3g mm lie outside the %g to %g mm that the weights were trained on",
                *sides,
                low,
                high,
            )

    def _shares_held(self, image: torch.Tensor, acquired: torch.Tensor | None) -> tuple[float | None, ...]:
        """Shares of k-space that the axes hold; those of a finer grid follow from the pixels that were acquired."""
        plane = FinerPlane.of_meta(image.meta) if isinstance(image, MetaTensor) else None
        if plane is None or acquired is None:
            return tuple(axis.kept for axis in support_of(image, self.slice_axis))
        axes = zip(support_of(acquired, self.slice_axis), plane.grids, strict=True)
        return tuple(None if axis.kept is None else axis.kept * grid.n / grid.n_fine for axis, grid in axes)

    def _check_resolution(self, kept: Sequence[float | None], image: object) -> None:
        meta = image.meta if isinstance(image, MetaTensor) else {}
        plane = FinerPlane.of_meta(meta)
        done = 1.0 if plane is None else plane.grids[0].n_fine / plane.grids[0].n
        said = json.loads(meta.get(ACQUIRED_SHARES) or "null") or [None] * len(kept)
        told = [
            seen if seen is not None or share is None else share / done for seen, share in zip(kept, said, strict=True)
        ]
        if self.trained.mri_kept is not None and None in told:
            logger.warning("cannot estimate how much of k-space this MRI holds: its slices are too small or too empty")
        reason = why_not_completed(told, self.trained, upsampled=done)
        if reason is None:
            return
        if told != list(kept):
            reason = f"by Acquisition Matrix (0018,1310), {reason}"
        if self.enabled:
            raise RefusedInputError(
                f"{reason}, or pass --any_resolution True to restore it all the same, with possible loss of detail"
            )
        logger.warning("%s: detail may be lost", reason)


def _compare_with_header(kept: Sequence[float | None], meta: Mapping[str, Any]) -> None:
    """Warn where header and pixels disagree about how much of k-space was acquired; the pixels are used."""
    said = json.loads(meta.get(ACQUIRED_SHARES) or "null")
    if said is None or meta.get(FINER_PLANE):
        return
    differences = [abs(seen - share) for seen, share in zip(kept, said, strict=True) if seen is not None]
    if max(differences, default=0.0) > MAX_DIFFERENCE_TO_HEADER:
        logger.warning(
            "Acquisition Matrix (0018,1310) says %s of k-space, the pixels show %s: the pixels are used",
            *(shares_in_words(shares) for shares in (said, kept)),
        )


def shares_in_words(shares: Sequence[float | None]) -> str:
    """Shares of the axes of k-space, for a person to read.

    Args:
        shares: of each axis; ``None`` where it is unknown.

    Returns:
        Such as ``25 % x 50 %``.
    """
    return " x ".join("?" if share is None else f"{100 * share:.0f} %" for share in shares)


def support_of(image: torch.Tensor, slice_axis: int) -> tuple[AxisSupport, AxisSupport]:
    """Estimate how much of k-space the slices of a volume hold.

    Args:
        image: ``(1, W, H, D)``.
        slice_axis: array axis of the slices, counted without the channel.

    Returns:
        The support along the two axes of a slice, in the order of the array's axes.
    """
    slices = plain_tensor(image)[0].movedim(slice_axis, 0)
    chosen = np.unique(np.linspace(0, len(slices) - 1, N_SLICES_LOOKED_AT).round().astype(int))
    return estimate_support([slices[index].numpy(force=True) for index in chosen.tolist()])


def why_not_completed(shares: Sequence[float | None], trained: TrainedKind, *, upsampled: float = 1.0) -> str | None:
    """Why the weights cannot complete the k-space of a scan.

    Args:
        shares: of k-space that the two axes of its slices hold; ``None`` where it is unknown.
        trained: what the weights were trained on.
        upsampled: factor of the finer grid that the scan is already on; 1 for its own grid.

    Returns:
        The reason and the remedy; ``None`` where the weights can complete it, or where a share is unknown.
    """
    kept = [share for share in shares if share is not None]
    if trained.mri_kept is None or len(kept) < len(shares) or _is_known(kept, trained):
        return None
    reason = f"this MRI holds {shares_in_words(kept)} of k-space, and the weights complete {_known_in_words(trained)}"
    if all(share == 1.0 for share in kept):
        reason = "this MRI fills k-space along both axes of its slices, so there is nothing to complete on its own grid"
    on_own_grid = [share * upsampled for share in kept]
    for factor in ADVISED_UPSAMPLING:
        if _is_known([share / factor for share in on_own_grid], trained):
            return f"{reason}: pass --mri_upsample {factor:g} to have it restored on a finer grid"
    return f"{reason}: use weights that were trained on this part of k-space"


def _is_known(kept: Sequence[float], trained: TrainedKind) -> bool:
    """Whether the weights complete a scan that holds these shares of k-space."""
    if trained.mri_kept is None:
        return True
    if sum(share == 1.0 for share in kept) == 1 and trained.mri_kept_beside_whole is not None:
        return any(_lies_in(share, trained.mri_kept_beside_whole) for share in kept)
    return all(_lies_in(share, trained.mri_kept) for share in kept)


def _lies_in(share: float, bounds: tuple[float, float]) -> bool:
    lowest, highest = bounds
    return lowest - KEPT_TOLERANCE <= share <= highest + KEPT_TOLERANCE


def _known_in_words(trained: TrainedKind) -> str:
    """What weights complete, such as ``20 to 50 % of each axis, or 20 to 40 % of one and all of the other``."""
    both = f"{_in_words(trained.mri_kept or ())} of each axis"
    one = trained.mri_kept_beside_whole
    return both if one is None else f"{both}, or {_in_words(one)} of one and all of the other"


def _in_words(bounds: Sequence[float]) -> str:
    return f"{' to '.join(dict.fromkeys(f'{100 * bound:.0f}' for bound in bounds))} %"
