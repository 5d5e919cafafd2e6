"""Keeping the centre of an image's k-space, and filling the rest with zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.tat.image_checks import check_image
from bundle.tat.refusal import RefusedInputError


def truncate_kspace(image: NDArray[Any], *, factor: int = 4) -> NDArray[np.complex64]:
    """Keep only the centre of an image's k-space: the linear forward operator.

    Args:
        image: slice, shape ``(H, W)``, real or complex, any unit.
        factor: how many times fewer samples are kept along each axis. ``H // factor`` by ``W // factor`` remain, with
            the zero frequency among them.

    Returns:
        The kept samples of the centred, orthonormal Fourier transform, shape ``(H // factor, W // factor)``.

    Raises:
        RefusedInputError: the image is not a finite slice, or is smaller than ``factor`` pixels.

    Source:
        Yang et al. 2025, arXiv:2512.14550, section on the data: the central k-space of a x4 acquisition.
    """
    check_image(image, "image")
    return _centre_of(image, _kept_block(image.shape, factor))


def crop_kspace(image: NDArray[Any], n_kept: tuple[int, int]) -> NDArray[np.complex64]:
    """Keep any centred part of an image's k-space.

    Args:
        image: slice, shape ``(H, W)``, real or complex, any unit.
        n_kept: how many lines around zero are kept along each axis.

    Returns:
        The kept samples of the centred, orthonormal Fourier transform, of shape ``n_kept``.

    Raises:
        RefusedInputError: the image is not a finite slice, or has fewer lines than ``n_kept``.
    """
    check_image(image, "image")
    if not all(1 <= n <= size for n, size in zip(n_kept, image.shape, strict=True)):
        raise RefusedInputError(
            f"n_kept is {n_kept} for an image of shape {image.shape}: pass at least 1 and at most its sides"
        )
    return _centre_of(image, tuple(central_lines(size, n) for size, n in zip(image.shape, n_kept, strict=True)))


def _centre_of(image: NDArray[Any], block: tuple[slice, ...]) -> NDArray[np.complex64]:
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho"))
    centre: NDArray[np.complex64] = spectrum[block].astype(np.complex64)
    return centre


def zero_fill(kspace: NDArray[np.complexfloating], shape: tuple[int, int], *, factor: int = 4) -> NDArray[np.complex64]:
    """Reconstruct an image from the centre of its k-space: the adjoint of ``truncate_kspace``.

    ``truncate_kspace(zero_fill(k, shape)) == k``. So adding ``zero_fill(measured - truncate_kspace(image))`` to an
    image makes it agree exactly with the measurement.

    Args:
        kspace: kept samples, shape ``(H // factor, W // factor)``.
        shape: ``(H, W)`` of the image.
        factor: of ``truncate_kspace``.

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
    return tuple(central_lines(size, size // factor) for size in shape)


def central_lines(size: int, n_kept: int) -> slice:
    """The lines around the zero frequency of one axis, after ``fftshift``.

    Args:
        size: lines of the axis.
        n_kept: how many of them are kept.

    Returns:
        Their indices. With an even number, the lowest frequency lacks its mirror image, as in a scanner's k-space.
    """
    first = size // 2 - n_kept // 2
    return slice(first, first + n_kept)
