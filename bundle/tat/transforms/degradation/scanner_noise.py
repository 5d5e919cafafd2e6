"""Noise of many scanners on a clean patch, with a new draw for each step of training."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final, get_args

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from numpy.typing import NDArray

from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.simulation.texture import NoiseTexture, Window, add_count_noise, textured_noise, uneven_level

Interval = tuple[float, float]

WINDOWS: Final[tuple[Window, ...]] = get_args(Window)
# Exponents of the rise of the spectrum: white noise, iterative reconstruction, filtered back-projection.
RISES: Final = (0.0, 0.5, 1.0, 1.0)
# Ends of the window [cycles per pixel], and by how much the level may vary over a patch.
CUTOFFS: Final = (0.2, 0.7)
SPREADS: Final = (1.0, 2.5)


class RandScannerNoised(RandomizableTransform, MapTransform):
    """Make a new degraded patch of CT or PET from the clean patch, with the noise of a random scanner.

    The texture is drawn too, so that the network cannot distinguish added noise from the scan's own. The logarithm of
    the level is drawn evenly. Other modalities stay unchanged. Neighbouring slices are of one scanner. Their noise is
    independent in CT, and correlated in PET.

    Args:
        keys: key of the degraded patch, one.
        ct_deviation: interval of the noise of CT [HU].
        pet_level: interval of the noise of PET over the uptake.
        pet_fwhm: interval of the width of its correlation along each axis [pixels; slices].
        prob: how often a new degraded patch is made; otherwise the pair stays as it is. A patch that equals the clean
            patch, as ``LabelAsImaged`` leaves it, is always replaced.
        label_key: key of the clean patch.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.

    Shape:
        ``(n_slices, W, H)`` -> the same, on the network's scale.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        *,
        ct_deviation: Interval = (2.0, 60.0),
        pet_level: Interval = (0.03, 0.6),
        pet_fwhm: Interval = (0.8, 3.0),
        prob: float = 0.5,
        label_key: str = "label",
        modality_key: str = "modality",
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.ct_deviation = ct_deviation
        self.pet_level = pet_level
        self.pet_fwhm = pet_fwhm
        self.label_key = label_key
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw a scanner, and add its noise to the clean patch."""
        d = dict(data)
        self.randomize(None)
        modality = Modality(d[self.modality_key])
        if modality not in (Modality.CT, Modality.PET):
            return d
        for key in self.key_iterator(d):
            if not self._do_transform and not torch.equal(d[key], d[self.label_key]):
                continue
            clean = torch.as_tensor(d[self.label_key]).numpy()
            noisy = self._with_ct_noise(clean) if modality is Modality.CT else self._with_pet_noise(clean)
            d[key] = torch.from_numpy(noisy)
        return d

    def _with_ct_noise(self, clean: NDArray[np.float32]) -> NDArray[np.float32]:
        texture = NoiseTexture(
            rise=RISES[self.R.randint(len(RISES))],
            cutoff=float(self.R.uniform(*CUTOFFS)),
            window=WINDOWS[self.R.randint(len(WINDOWS))],
        )
        deviation = self._draw_level(self.ct_deviation) / INTENSITY_RANGES[Modality.CT].width
        _, *sides = clean.shape
        shape = sides[0], sides[1]
        level = uneven_level(shape, spread=float(self.R.uniform(*SPREADS)), seed=self._seed())
        noise = np.stack([textured_noise(shape, texture, seed=self._seed()) for _ in clean])
        noisy: NDArray[np.float32] = clean + deviation * level * noise
        return noisy.clip(0.0, 1.0)

    def _with_pet_noise(self, clean: NDArray[np.float32]) -> NDArray[np.float32]:
        in_plane = [float(width) for width in self.R.uniform(*self.pet_fwhm, size=2)]
        level, seed = self._draw_level(self.pet_level), self._seed()
        across = float(self.R.uniform(*self.pet_fwhm)) if len(clean) > 1 else 0.0
        return add_count_noise(clean, level=level, fwhm=(across, *in_plane), seed=seed).clip(0.0, 1.0)

    def _draw_level(self, interval: Interval) -> float:
        low, high = np.log(interval)
        return float(np.exp(self.R.uniform(low, high)))

    def _seed(self) -> int:
        return int(self.R.randint(2**31))
