"""Whether a scan is of the kind that the network was trained on."""

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from bundle.tat.kspace import power_beyond
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.naming_source import naming_source

logger = logging.getLogger(__name__)

# Truncated magnitude slices stay below .003, and volumes that kept a third instead of a quarter lie above .02.
MAX_POWER_BEYOND: Final = 0.01

# Slices that are looked at, spread evenly; more would cost seconds and tell the same.
N_SLICES_LOOKED_AT: Final = 16


class CheckInDistributiond(MapTransform):
    """Refuse MRI of more resolution than the network knows, and warn of pixel sizes that it never saw.

    A network that was trained to super-resolve truncated MRI takes the detail of a full scan for something to change.
    What was truncated shows in k-space: nothing lies beyond the part that was kept.

    Args:
        keys: images in any unit, before padding.
        pixel_sizes: modality -> smallest and largest pixel side of training [mm]; others are not looked at.
        mri_factors: one of any of so many k-space lines must have been kept along each axis of a slice.
        slice_axis: array axis that the slices are stacked along, counted without the channel.
        enabled: whether MRI of more resolution is refused; a warning is given otherwise.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H, D)`` -> the same, nothing is changed.

    Raises:
        RefusedInputError: an MRI holds more of k-space.
    """

    def __init__(
        self,
        keys: KeysCollection,
        pixel_sizes: Mapping[str, Sequence[float]],
        mri_factors: Sequence[int] = (4,),
        slice_axis: int = -1,
        enabled: bool = True,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.pixel_sizes = {Modality(name): (low, high) for name, (low, high) in pixel_sizes.items()}
        self.mri_factors = tuple(mri_factors)
        self.slice_axis = slice_axis % 3
        self.enabled = enabled
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Look at each image."""
        d = dict(data)
        modality = Modality(d[self.modality_key])
        for key in self.key_iterator(d):
            with naming_source(d[key]):
                self._check_pixel_size(d[key], modality)
                if modality is Modality.MRI:
                    self._check_resolution(d[key])
        return d

    def _check_pixel_size(self, image: object, modality: Modality) -> None:
        if modality not in self.pixel_sizes or not isinstance(image, MetaTensor):
            return
        low, high = self.pixel_sizes[modality]
        sides = [float(side) for axis, side in enumerate(image.pixdim) if axis != self.slice_axis]
        # Sizes are stored in float32.
        if min(sides) < low * 0.999 or max(sides) > high * 1.001:
            logger.warning(
                "pixels of %.3g x %.3g mm lie outside the %g to %g mm that the weights were trained on",
                *sides,
                low,
                high,
            )

    def _check_resolution(self, image: torch.Tensor) -> None:
        beyond = {factor: median_power_beyond(image, self.slice_axis, factor) for factor in self.mri_factors}
        if not all(ratio > MAX_POWER_BEYOND for ratio in beyond.values()):
            return
        kept = min(beyond)
        text = (
            f"this MRI holds more of k-space than the central 1/{kept} of each axis that the network is trained to "
            f"complete (relative power beyond it {beyond[kept]:.2g}, limit {MAX_POWER_BEYOND:g})"
        )
        if self.enabled:
            raise RefusedInputError(
                f"{text}: it needs no restoration, or is no MRI; "
                "check the modality, or pass --any_resolution True to have it all the same"
            )
        logger.warning("%s: detail may be lost", text)


def median_power_beyond(image: torch.Tensor, slice_axis: int, factor: int) -> float:
    """Median of ``power_beyond`` over slices that tell; ``nan`` where none does.

    Args:
        image: ``(1, W, H, D)``.
        slice_axis: array axis of the slices, counted without the channel.
        factor: as for ``power_beyond``.

    Returns:
        The median.
    """
    plain = image.as_tensor() if isinstance(image, MetaTensor) else image
    slices = plain[0].movedim(slice_axis, 0)
    chosen = np.unique(np.linspace(0, len(slices) - 1, N_SLICES_LOOKED_AT).round().astype(int))
    ratios = [power_beyond(slices[index].numpy(force=True), factor=factor) for index in chosen.tolist()]
    told = [ratio for ratio in ratios if not np.isnan(ratio)]
    return float(np.median(told)) if told else float("nan")
