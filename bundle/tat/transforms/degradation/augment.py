"""Augmentation of training pairs: noise levels, contrasts and resolutions that were not measured."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation import mri

Interval = tuple[float, float]

# Knots of a contrast curve: few enough that tissues stay apart, many enough that their order can change.
N_CONTRAST_KNOTS: Final = 5
# Half of the scans are filtered, by either window.
EDGE_FILTERS: Final[tuple[mri.EdgeFilter, ...]] = ("none", "none", "tukey", "gaussian")


class RandNoiseLeveld(RandomizableTransform, MapTransform):
    """Scale the degradation of an image: ``image = label + amount * (image - label)``.

    An amount stands for another dose. Apart from electronic noise, the noise that CT has at the dose fraction f has a
    deviation proportional to ``sqrt((1 - f) / f)``. For a quarter-dose pair, the amount 0.58 stands for half the dose,
    1.53 for an eighth, and 0 for the clean image. In PET, the amount stands for the counts, but only roughly.

    The logarithm of the amount is drawn evenly. If the amount itself were, few would be small, and a network that has
    not seen a little noise makes such a scan worse.

    Args:
        keys: key of the degraded image, one.
        amounts: modality -> interval above 0 that the amount is drawn from; other modalities keep their degradation.
        prob: how often an amount is drawn; otherwise the pair stays as it is.
        clean_prob: how often the image of any modality becomes the clean image, so that the network learns to leave
            clean images unchanged.
        label_key: key of the clean image.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.

    Shape:
        any -> the same.

    Raises:
        RefusedInputError: an interval is not above 0, or its upper end is below its lower end.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        *,
        amounts: Mapping[str, Interval],
        prob: float = 0.5,
        clean_prob: float = 0.05,
        label_key: str = "label",
        modality_key: str = "modality",
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.amounts = {Modality(modality): interval for modality, interval in amounts.items()}
        for modality, (low, high) in self.amounts.items():
            if not 0 < low <= high:
                raise RefusedInputError(
                    f"the amounts of {modality.value} are {low} to {high}: pass ascending values above 0"
                )
        self.clean_prob = clean_prob
        self.label_key = label_key
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw an amount and apply it."""
        d = dict(data)
        self.randomize(None)
        amount = self._draw_amount(Modality(d[self.modality_key]))
        for key in self.key_iterator(d):
            label = d[self.label_key]
            d[key] = label + amount * (d[key] - label) if amount != 1.0 else d[key]
        return d

    def _draw_amount(self, modality: Modality) -> float:
        low, high = self.amounts.get(modality, (1.0, 1.0))
        drawn, is_clean = np.exp(self.R.uniform(np.log(low), np.log(high))), self.R.uniform() < self.clean_prob
        if is_clean:
            return 0.0
        return float(drawn) if self._do_transform else 1.0


class RandKSpaceTruncationd(RandomizableTransform, MapTransform):
    """Make a new MRI pair from a clean slice: another contrast, another resolution, then k-space truncation.

    The truncation is a function of the clean image, so any change of that image gives an exact pair. Neighbouring
    slices get the same contrast and lose the same part of k-space. Noise is drawn for each slice. Images of other
    modalities stay unchanged.

    Args:
        keys: key of the clean slice, one.
        image_key: where the degraded slice goes.
        zoom: interval of the factor that structures grow by, in pixels.
        gamma: interval of the exponent of the contrast (gamma correction).
        remap_prob: how often the contrast becomes an arbitrary curve, in which fluid may be dark or bright.
        gain: interval of the factor that intensities are multiplied by.
        factors: reduction factors of k-space along each axis; with 4, one line of four is kept. They are drawn evenly:
            a factor that is listed twice is drawn twice as often.
        size: smallest sides of the slice after padding [pixels].
        kept: interval of the share of k-space that each axis keeps. It turns on other effects of scanners too, see
            ``draw_coverage``. ``None`` truncates by ``factors`` only.
        factor_prob: how often a slice is truncated by ``factors`` although ``kept`` is given.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.

    Shape:
        ``(n_slices, W, H)`` -> ``(n_slices, W', H')``, in [0, 1].
    """

    def __init__(
        self,
        keys: KeysCollection = "label",
        image_key: str = "image",
        *,
        zoom: Interval = (0.7, 1.5),
        gamma: Interval = (0.6, 1.6),
        remap_prob: float = 0.3,
        gain: Interval = (0.7, 1.4),
        factors: Sequence[int] = (4,),
        size: Sequence[int] = (0, 0),
        kept: Interval | None = None,
        factor_prob: float = 0.25,
        modality_key: str = "modality",
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, 1.0)
        self.image_key = image_key
        self.zoom = zoom
        self.gamma = gamma
        self.remap_prob = remap_prob
        self.gain = gain
        self.factors = tuple(factors)
        self.size = tuple(size)
        self.kept = kept
        self.factor_prob = factor_prob
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw a contrast and a resolution, and degrade."""
        d = dict(data)
        if Modality(d[self.modality_key]) is not Modality.MRI:
            return d
        for key in self.key_iterator(d):
            varied = pad_to(resize(self._recontrast(torch.as_tensor(d[key])), self.R.uniform(*self.zoom)), self.size)
            d[key] = varied
            d[self.image_key] = torch.from_numpy(np.stack(self._degrade(list(varied.numpy()))))
        return d

    def _degrade(self, slices: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        if self.kept is None or self.R.uniform() < self.factor_prob:
            factor = self.factors[self.R.randint(len(self.factors))]
            return [mri.reduce_resolution(clean, factor=factor) for clean in slices]
        seeds = [int(self.R.randint(2**31)) for _ in slices]
        coverage = draw_coverage(self.R, self.kept)
        return [mri.acquire(clean, seed=seed, coverage=coverage) for clean, seed in zip(slices, seeds, strict=True)]

    def _recontrast(self, clean: Tensor) -> Tensor:
        brightest = float(clean.max())
        if brightest <= 0:
            return clean
        relative = (clean / brightest).clamp(min=0)
        if self.R.uniform() < self.remap_prob:
            heights = np.concatenate([[0.0], self.R.uniform(0.1, 1.0, N_CONTRAST_KNOTS - 1)])
            bent = torch.from_numpy(apply_contrast_curve(relative.numpy(), heights))
        else:
            bent = relative.pow(self.R.uniform(*self.gamma))
        return (bent * brightest * self.R.uniform(*self.gain)).clamp(max=1.0)


def draw_coverage(random: np.random.RandomState, kept: Interval) -> mri.KSpaceCoverage:
    """Draw a part of k-space, and the effects of scanners on it.

    Args:
        random: random generator.
        kept: interval of the share that each axis keeps. One of the axes is whole in one of seven draws.

    Returns:
        Coverage with partial Fourier and elliptical corners in a quarter of the draws each, and with an edge filter
        and a little noise in half of the draws each.
    """
    shares = [float(share) for share in random.uniform(*kept, size=2)]
    if random.uniform() < 1 / 7:
        shares[random.randint(2)] = 1.0
    return mri.KSpaceCoverage(
        kept=(shares[0], shares[1]),
        partial_fourier=float(random.uniform(0.6, 0.9)) if random.uniform() < 0.25 else 1.0,
        elliptical=bool(random.uniform() < 0.25),
        edge_filter=EDGE_FILTERS[random.randint(len(EDGE_FILTERS))],
        edge_width=float(random.uniform(0.1, 0.8)),
        noise=float(random.uniform(0.0, 0.01)) if random.uniform() < 0.5 else 0.0,
    )


def apply_contrast_curve(image: NDArray[np.float32], heights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Map intensities in [0, 1] by a piecewise linear curve.

    Args:
        image: of any shape.
        heights: values of the curve at evenly spaced intensities from 0 to 1.

    Returns:
        An image of the same shape.
    """
    curved = np.interp(image, np.linspace(0.0, 1.0, len(heights)), heights)
    return curved.astype(np.float32)


def resize(image: Tensor, factor: float) -> Tensor:
    """Resample slices to pixels ``factor`` times as fine, without aliasing: ``(n, W, H) -> (n, W', H')``."""
    sides = [max(round(side * factor), 1) for side in image.shape[-2:]]
    return F.interpolate(image[None], size=sides, mode="bilinear", antialias=True)[0]


def pad_to(image: Tensor, size: Sequence[int]) -> Tensor:
    """Add air on all sides of slices until they have at least these sides: ``(n, W, H) -> (n, W', H')``."""
    missing = [max(wanted - side, 0) for wanted, side in zip(size, image.shape[-2:], strict=True)]
    (w, h) = missing
    return F.pad(image, (h // 2, h - h // 2, w // 2, w - w // 2))
