"""Sharper clean CT than any training scan holds: other reconstruction kernels, and the skull's edges."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import torch
from monai.config import KeysCollection
from monai.networks.layers import gaussian_1d, separable_filtering
from monai.transforms import MapTransform, RandomizableTransform
from torch import Tensor

from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.transforms.degradation.augment import Interval, pad_to, resize

# Above soft tissue with contrast agent, where only bone and metal are [HU].
BONE: Final = 200.0
# Deviation of the Gaussian whose difference from the slice is added to it [pixels].
SHARPENED_WIDTH: Final = 0.8


class RandSharpnessd(RandomizableTransform, MapTransform):
    """Make a clean CT slice sharper, and its bone brighter.

    In turn: bone rises further above soft tissue, pixels are averaged to larger ones, and a kernel overshoots at edges.
    Averaging makes edges steeper in pixels, and removes noise that sharpening would bring out.

    Only slices without a pair are changed, whose image equals the label. The new slice replaces both.

    Args:
        keys: keys of the degraded and of the clean slice, in this order.
        zoom: interval of the factor that structures shrink by, in pixels.
        bone: interval of the factor that values rise by where they exceed 200 HU.
        overshoot: interval of the share of fine structure that is added.
        prob: how often a slice is changed.
        size: smallest sides of the slice after padding [pixels].
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.

    Shape:
        ``(n_slices, W, H)`` -> ``(n_slices, W', H')``, in [0, 1].
    """

    def __init__(
        self,
        keys: KeysCollection = ("image", "label"),
        *,
        zoom: Interval = (0.5, 1.0),
        bone: Interval = (1.0, 2.5),
        overshoot: Interval = (0.0, 1.0),
        prob: float = 0.3,
        size: tuple[int, int] = (0, 0),
        modality_key: str = "modality",
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.zoom = zoom
        self.bone = bone
        self.overshoot = overshoot
        self.size = size
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw the three factors, and change the slice."""
        d = dict(data)
        self.randomize(None)
        if not self._do_transform or Modality(d[self.modality_key]) is not Modality.CT:
            return d
        image_key, label_key = self.keys
        clean = torch.as_tensor(d[label_key])
        if not torch.equal(torch.as_tensor(d[image_key]), clean):
            return d
        bright = brighten_bone(clean, self.R.uniform(*self.bone))
        coarse = pad_to(resize(bright, self.R.uniform(*self.zoom)), self.size)
        sharp = sharpen(coarse, self.R.uniform(*self.overshoot)).clamp(0.0, 1.0)
        return {**d, image_key: sharp, label_key: sharp.clone()}


def brighten_bone(image: Tensor, factor: float) -> Tensor:
    """Let values above 200 HU rise ``factor`` times as far above it; ``image`` on the network's scale, any shape."""
    scale = INTENSITY_RANGES[Modality.CT]
    bound = (BONE - scale.low) / scale.width
    return image + (factor - 1.0) * (image - bound).clamp(min=0.0)


def sharpen(image: Tensor, amount: float) -> Tensor:
    """Add ``amount`` times the difference from a Gaussian blur of 0.8 pixels: ``(n, W, H)`` -> the same."""
    kernel = gaussian_1d(torch.tensor(SHARPENED_WIDTH))
    blurred: Tensor = separable_filtering(image[:, None], [kernel, kernel], mode="replicate")[:, 0]
    return image + amount * (image - blurred)
