"""The k-space of MR images: keeping its centre, filling the rest with zeros, and telling how much an image holds."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.image_checks import check_image
from bundle.tat.refusal import RefusedInputError

# Bands just within and just beyond the kept part of an axis, as shares of where its frequencies end; between them lies
# the blur of the window that the slice is weighted with.
WITHIN: Final = (0.5, 0.85)
BEYOND: Final = (1.25, 1.7)

# An axis with fewer frequencies than this within a band tells nothing.
MIN_FREQUENCIES: Final = 3


def truncate_kspace(image: NDArray[Any], *, factor: int = 4) -> NDArray[np.complex64]:
    """Measure the centre of an image's k-space only: the linear forward operator.

    Args:
        image: slice, shape ``(H, W)``, real or complex, any unit.
        factor: how many times fewer samples are kept along each axis; ``H // factor`` by ``W // factor`` remain, the
            zero frequency among them.

    Returns:
        The kept samples of the centred, orthonormal Fourier transform, shape ``(H // factor, W // factor)``.

    Raises:
        RefusedInputError: the image is not a finite slice, or is smaller than ``factor`` pixels.

    Source:
        Yang et al. 2025, arXiv:2512.14550, section on the data: the central k-space of a x4 acquisition.
    """
    check_image(image, "image")
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho"))
    kept: NDArray[np.complex64] = spectrum[_kept_block(image.shape, factor)].astype(np.complex64)
    return kept


def zero_fill(kspace: NDArray[np.complexfloating], shape: tuple[int, int], *, factor: int = 4) -> NDArray[np.complex64]:
    """Reconstruct an image from the centre of its k-space: the adjoint of ``truncate_kspace``.

    ``truncate_kspace(zero_fill(k, shape)) == k``, so that adding ``zero_fill(measured - truncate_kspace(image))`` to an
    image makes it consistent with the measurement exactly.

    Args:
        kspace: kept samples, shape ``(H // factor, W // factor)``.
        shape: ``(H, W)`` of the image.
        factor: the one that the samples were kept with.

    Returns:
        Complex image, shape ``(H, W)``.

    Raises:
        RefusedInputError: the number of samples does not fit the shape and the factor.
    """
    spectrum = np.zeros(shape, dtype=np.complex64)
    block = _kept_block(shape, factor)
    if spectrum[block].shape != kspace.shape:
        raise RefusedInputError(
            f"k-space of shape {kspace.shape} does not fill an image of {shape} at factor {factor}: "
            f"pass samples of shape {spectrum[block].shape}"
        )
    spectrum[block] = kspace
    image: NDArray[np.complex64] = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(spectrum), norm="ortho"))
    return image.astype(np.complex64)


def _kept_block(shape: tuple[int, ...], factor: int) -> tuple[slice, ...]:
    """Select the samples around the zero frequency, which ``fftshift`` puts at ``size // 2`` for odd sizes too."""
    if factor < 1 or min(shape) < factor:
        raise RefusedInputError(f"factor {factor} is outside [1, {min(shape)}], the smaller side of the image")
    return tuple(
        slice(size // 2 - size // factor // 2, size // 2 - size // factor // 2 + size // factor) for size in shape
    )


def power_beyond(image: NDArray[Any], *, factor: int = 4) -> float:
    """Compare what a slice holds just beyond the central ``1 / factor`` of k-space with what it holds just within.

    The slice is weighted with a Hann window first: anatomy that the edge cuts off would spread along the axes.

    Args:
        image: slice, shape ``(H, W)``, any unit.
        factor: one of so many k-space lines would have been kept along each axis.

    Returns:
        Ratio of the mean powers, the larger of the two axes: about .01 for a slice that was truncated by ``factor`` and
        made a magnitude, .2 and more for one that was not; ``nan`` for a slice that is constant or too small to tell.
    """
    centred = image - image.mean(dtype=np.float64)
    windowed = centred * np.outer(*(np.hanning(size + 2)[1:-1] for size in image.shape))
    power = np.abs(np.fft.fft2(windowed)) ** 2
    ratios = [_ratio_along(power.sum(axis=1 - axis), factor) for axis in (0, 1)]
    return float(np.max(ratios))


def _ratio_along(power: NDArray[np.float64], factor: int) -> float:
    """The ratio along one axis, from the power of its frequencies."""
    frequencies = np.abs(np.fft.fftfreq(len(power))) * 2 * factor  # 1 where the kept part ends
    within, beyond = ((low < frequencies) & (frequencies < high) for low, high in (WITHIN, BEYOND))
    if min(np.count_nonzero(within), np.count_nonzero(beyond)) < MIN_FREQUENCIES or not power[within].any():
        return float("nan")
    return float(power[beyond].mean() / power[within].mean())
