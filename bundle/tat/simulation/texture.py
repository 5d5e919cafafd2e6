"""Noise with the texture of a reconstruction, simulated without projections: fast, for any kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from bundle.tat.image_checks import check_image
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.checks import check_interval
from bundle.tat.simulation.pet import FWHM_PER_SIGMA

Window = Literal["hard", "hann", "gaussian", "shepp_logan"]


@dataclass(frozen=True)
class NoiseTexture:
    """The radial noise power spectrum of a reconstructed slice.

    Args:
        rise: exponent of the spectrum's rise with frequency. It is 0 for white noise, 1 for the ramp filter of filtered
            back-projection, and between them for iterative reconstruction.
        cutoff: frequency at which the window ends, or falls to ``exp(-2)`` for ``gaussian`` [cycles per pixel], in
            (0, 0.71]; the corner of k-space lies at 0.71.
        window: of the kernel. ``hard`` has a sharp end and ``hann`` a soft one. ``shepp_logan`` is the sinc up to its
            first zero.

    Raises:
        RefusedInputError: a parameter is outside its bounds.

    Source:
        Kijewski and Judy 1987, doi:10.1088/0031-9155/32/5/003: the spectrum is frequency times the squared window.
    """

    rise: float = 1.0
    cutoff: float = 0.5
    window: Window = "hann"

    def __post_init__(self) -> None:
        if not 0.0 <= self.rise <= 2.0:
            raise RefusedInputError(f"rise is {self.rise}: pass 0 (white) to 2")
        check_interval(self.cutoff, "cutoff", 0.0, 0.71)
        if self.window not in ("hard", "hann", "gaussian", "shepp_logan"):
            raise RefusedInputError(f"window is {self.window!r}: pass hard, hann, gaussian or shepp_logan")

    def power(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """The spectrum at radial frequencies [cycles per pixel], not normalised; 0 at frequency 0."""
        relative = frequency / self.cutoff
        inside = relative < 1.0
        windows = {
            "hard": inside.astype(np.float64),
            "hann": np.where(inside, 0.5 + 0.5 * np.cos(np.pi * np.minimum(relative, 1.0)), 0.0),
            "gaussian": np.exp(-2.0 * relative**2),
            "shepp_logan": np.where(inside, np.sinc(np.minimum(relative, 1.0)), 0.0),
        }
        spectrum: NDArray[np.float64] = (
            np.where(frequency > 0, frequency, np.inf if self.rise == 0 else 0.0) ** self.rise
        )
        spectrum[frequency == 0] = 0.0
        power: NDArray[np.float64] = spectrum * windows[self.window] ** 2
        return power


# Textures of scanners' kernels, from sharp to soft.
TEXTURES: Final[Mapping[str, NoiseTexture]] = MappingProxyType(
    {
        "sharp": NoiseTexture(rise=1.0, cutoff=0.6, window="shepp_logan"),
        "white": NoiseTexture(rise=0.0, cutoff=0.71, window="hard"),
        "hann": NoiseTexture(rise=1.0, cutoff=0.5, window="hann"),
        "soft": NoiseTexture(rise=1.0, cutoff=0.35, window="gaussian"),
    }
)


def textured_noise(shape: tuple[int, int], texture: NoiseTexture, *, seed: int) -> NDArray[np.float32]:
    """Draw stationary noise of a texture.

    Args:
        shape: ``(H, W)``.
        texture: spectrum of the noise.
        seed: of the noise.

    Returns:
        Noise of mean 0 and standard deviation 1, ``(H, W)``.
    """
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size) for size in shape), indexing="ij"))
    white = np.random.default_rng(seed).standard_normal(shape)
    noise = np.fft.ifft2(np.fft.fft2(white) * np.sqrt(texture.power(frequency))).real
    deviation = float(noise.std())
    # A slice of a few pixels may have no frequency within the window.
    scaled: NDArray[np.float32] = (noise / deviation if deviation > 0 else np.zeros(shape)).astype(np.float32)
    return scaled


def uneven_level(shape: tuple[int, int], *, spread: float, seed: int) -> NDArray[np.float32]:
    """Draw a smooth map of the noise level: higher behind thick and dense parts, lower near the surface.

    Args:
        shape: ``(H, W)``.
        spread: largest over smallest value, 1 or more.
        seed: of the map.

    Returns:
        Positive values of mean square 1, ``(H, W)``.

    Raises:
        RefusedInputError: ``spread`` is below 1.
    """
    if not 1.0 <= spread < math.inf:
        raise RefusedInputError(f"spread is {spread}: pass 1 (even) or more")
    random = np.random.default_rng(seed)
    y, x = (np.linspace(-1.0, 1.0, size) for size in shape)
    centre, width = random.uniform(-0.7, 0.7, 2), random.uniform(0.4, 1.5, 2)
    bump = np.exp(-(((y - centre[0]) / width[0]) ** 2)[:, None] - (((x - centre[1]) / width[1]) ** 2)[None, :])
    level = np.exp(math.log(spread) * (bump - bump.min()) / max(float(np.ptp(bump)), 1e-12))
    scaled: NDArray[np.float32] = (level / math.sqrt(float((level**2).mean()))).astype(np.float32)
    return scaled


def add_count_noise(image: NDArray[Any], *, level: float, fwhm: Sequence[float], seed: int) -> NDArray[np.float32]:
    """Add noise as in iteratively reconstructed and filtered PET: correlated, and stronger where uptake is higher.

    Args:
        image: clean slice of any plane, ``(H, W)``, or neighbouring slices, ``(slices, H, W)`` [SUV].
        level: standard deviation of the noise over the uptake, where the uptake is the mean of the bright half.
        fwhm: full width at half maximum of the correlation along each axis of ``image`` [pixels; slices].
        seed: of the noise.

    Returns:
        The image with noise [SUV], not below 0.

    Raises:
        RefusedInputError: the image has another number of axes or is not finite, or a parameter is negative.

    Source:
        Barrett et al. 1994, doi:10.1088/0031-9155/39/5/004: the deviation of EM is nearly proportional to the image.
        That of the counts is proportional to its root. Scanners' reconstructions lie between the two.
    """
    slices = image if image.ndim == 3 else image[None]
    for one in slices:
        check_image(one, "image")
    if not 0.0 <= level < math.inf or len(fwhm) != image.ndim or not all(0.0 <= width < math.inf for width in fwhm):
        raise RefusedInputError(f"level is {level} and fwhm {fwhm}: pass values of 0 or more, a width for each axis")
    frequencies = (np.fft.fftfreq(size) for size in slices.shape[1:])
    falls = [
        np.exp(-2.0 * (np.pi * f * width / FWHM_PER_SIGMA) ** 2)
        for f, width in zip(frequencies, fwhm[-2:], strict=True)
    ]
    white = np.random.default_rng(seed).standard_normal(slices.shape)
    noise = np.fft.ifft2(np.fft.fft2(white) * np.outer(*falls)).real
    if len(slices) > 1:
        noise = np.einsum("ij,jhw->ihw", _across_slices(len(slices), fwhm[0]), noise)
    uptake = np.maximum(slices, 0.0)
    # The mean of a constant slice may be rounded to more than its value.
    is_bright = uptake >= min(float(uptake.mean(dtype=np.float64)), float(uptake.max()))
    bright = max(float(uptake[is_bright].mean()), 1e-6)
    deviation = level * bright * (uptake / bright) ** 0.75
    noisy: NDArray[np.float32] = np.maximum(slices + deviation * noise / float(noise.std()), 0.0).astype(np.float32)
    return noisy.reshape(image.shape)


def _across_slices(n_slices: int, fwhm: float) -> NDArray[np.float64]:
    """Matrix that mixes independent slices of noise, so that they correlate as if filtered by a Gaussian.

    A filter over a few slices would wrap around or have ends. The root of the covariance has neither problem.
    """
    apart = np.subtract.outer(np.arange(n_slices), np.arange(n_slices)) * FWHM_PER_SIGMA / max(fwhm, 1e-3)
    values, vectors = np.linalg.eigh(np.exp(-(apart**2) / 4.0))
    root: NDArray[np.float64] = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    return root
