"""Low-resolution magnetic resonance images by truncation of k-space, and the linear operator behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.checks import check_image


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


def reduce_resolution(image: NDArray[Any], *, factor: int = 4) -> NDArray[np.float32]:
    """Make the low-resolution slice that the network is to super-resolve, on the grid of the clean one.

    Nothing in it is drawn at random, hence no seed.

    Args:
        image: clean magnitude slice, shape ``(H, W)``, arbitrary units.
        factor: how many times fewer samples of k-space are kept along each axis.

    Returns:
        Magnitude of the zero-filled reconstruction, shape ``(H, W)``, unit of ``image``.

    Raises:
        RefusedInputError: the image is not a finite slice, or is smaller than ``factor`` pixels.
    """
    kspace = truncate_kspace(image, factor=factor)
    height, width = image.shape
    return np.abs(zero_fill(kspace, (height, width), factor=factor)).astype(np.float32)


def _kept_block(shape: tuple[int, ...], factor: int) -> tuple[slice, ...]:
    """Select the samples around the zero frequency, which ``fftshift`` puts at ``size // 2`` for odd sizes too."""
    if factor < 1 or min(shape) < factor:
        raise RefusedInputError(f"factor {factor} is outside [1, {min(shape)}], the smaller side of the image")
    return tuple(
        slice(size // 2 - size // factor // 2, size // 2 - size // factor // 2 + size // factor) for size in shape
    )
