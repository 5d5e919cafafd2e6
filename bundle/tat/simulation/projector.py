"""Parallel-beam projection as a linear operator with its exact adjoint."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bundle.tat.image_checks import check_image
from bundle.tat.optional import import_optional
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.checks import check_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class ParallelBeam:
    """Line integrals of a slice along parallel rays, over half a turn.

    Args:
        shape: ``(H, W)`` of the slice; any sizes.
        pixel_size: side of a square pixel [mm], and width of a detector element.
        n_angles: number of views, equally spaced over 180 degrees.

    Raises:
        RefusedInputError: a size, ``pixel_size`` or ``n_angles`` is not positive.

    Source:
        Joseph 1982, doi:10.1109/TMI.1982.4307572 (linear interpolation along the ray), as in the ASTRA toolbox.
    """

    shape: tuple[int, int]
    pixel_size: float
    n_angles: int

    def __post_init__(self) -> None:
        check_interval(min(self.shape), "smaller side of the slice", 0, math.inf)
        check_interval(self.pixel_size, "pixel_size [mm]", 0.0, math.inf)
        check_interval(self.n_angles, "n_angles", 0, math.inf)

    @property
    def n_detectors(self) -> int:
        """Detector elements that see the whole slice, corners included, in every view."""
        return math.ceil(math.hypot(*self.shape)) + 1

    @property
    def sinogram_shape(self) -> tuple[int, int]:
        """Shape of a sinogram: ``(n_angles, n_detectors)``."""
        return self.n_angles, self.n_detectors

    def forward(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Project a slice.

        Args:
            image: shape ``(H, W)``, a quantity per millimetre.

        Returns:
            Line integrals, shape ``(n_angles, n_detectors)``.

        Raises:
            RefusedInputError: the image is not a finite slice of ``shape``.
        """
        check_image(image, "image")
        if image.shape != self.shape:
            raise RefusedInputError(
                f"image has shape {image.shape}: pass shape {self.shape}, for which this projector was made"
            )
        with _operator(self) as operator:
            sinogram: NDArray[np.float32] = operator.FP(np.ascontiguousarray(image, dtype=np.float32))
        return sinogram

    def adjoint(self, sinogram: NDArray[Any]) -> NDArray[np.float32]:
        """Back-project a sinogram: the transpose of ``forward``, without filter or weight.

        Args:
            sinogram: shape ``(n_angles, n_detectors)``.

        Returns:
            Image, shape ``(H, W)``.

        Raises:
            RefusedInputError: the sinogram is not finite or not of ``sinogram_shape``.
        """
        check_image(sinogram, "sinogram")
        if sinogram.shape != self.sinogram_shape:
            raise RefusedInputError(f"sinogram has shape {sinogram.shape}: pass shape {self.sinogram_shape}")
        with _operator(self) as operator:
            image: NDArray[np.float32] = operator.BP(np.ascontiguousarray(sinogram, dtype=np.float32))
        return image

    def matrix(self) -> csr_matrix:
        """Return the operator as a sparse matrix, for many products with a small slice.

        Returns:
            Matrix of shape ``(n_angles * n_detectors, H * W)``, float32, rows in the order of a raveled sinogram.
        """
        with _operator(self) as operator:
            astra = import_optional("astra")
            matrix_id = astra.projector.matrix(operator.proj_id)
            try:
                return astra.matrix.get(matrix_id).astype(np.float32)
            finally:
                astra.matrix.delete(matrix_id)


@contextmanager
def _operator(beam: ParallelBeam) -> Iterator[Any]:
    """Give ASTRA's operator, and free its memory outside of Python at the end."""
    astra = import_optional("astra")
    height, width = beam.shape
    half_height, half_width = height * beam.pixel_size / 2, width * beam.pixel_size / 2
    volume = astra.create_vol_geom(height, width, -half_width, half_width, -half_height, half_height)
    angles = np.arange(beam.n_angles) * (np.pi / beam.n_angles)
    rays = astra.create_proj_geom("parallel", beam.pixel_size, beam.n_detectors, angles)
    projector_id = astra.create_projector("linear", rays, volume)
    try:
        yield astra.OpTomo(projector_id)
    finally:
        astra.projector.delete(projector_id)
