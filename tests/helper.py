"""Invariants, as assertions that any test can call."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray
from torch import Tensor

Operator = Callable[[NDArray[Any]], NDArray[Any]]


def assert_adjoint(
    forward: Operator,
    adjoint: Operator,
    domain_shape: tuple[int, ...],
    range_shape: tuple[int, ...],
    *,
    is_complex: bool = False,
    rtol: float = 1e-4,
) -> None:
    """Assert ``<forward(x), y> == <x, adjoint(y)>`` for random x and y, up to single precision."""
    random = np.random.default_rng(0)

    def draw(shape: tuple[int, ...]) -> NDArray[Any]:
        real = random.standard_normal(shape)
        return real + 1j * random.standard_normal(shape) if is_complex else real

    x, y = draw(domain_shape), draw(range_shape)
    projected, back_projected = forward(x), adjoint(y)
    assert projected.shape == range_shape
    assert back_projected.shape == domain_shape
    scale = float(np.linalg.norm(projected) * np.linalg.norm(y))
    np.testing.assert_allclose(np.vdot(projected, y), np.vdot(x, back_projected), rtol=0, atol=rtol * scale)


def assert_batch_independent(restore: Callable[[Tensor], Tensor], batch: Tensor) -> None:
    """Each sample's result is the same alone and among others."""
    assert len(batch) > 1
    with torch.inference_mode():
        together = restore(batch)
        for index in range(len(batch)):
            alone = restore(batch[index : index + 1])
            torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-4, atol=1e-5)


def assert_covers_once(
    split: Callable[[Tensor], list[Tensor]], merge: Callable[[list[Tensor]], Tensor], shape: Sequence[int]
) -> None:
    """The windows' weights add up to one at every pixel: windows of ones make a map of ones."""
    ones = [torch.ones_like(part) for part in split(torch.zeros(*shape))]
    torch.testing.assert_close(merge(ones), torch.ones(*shape))


def assert_round_trip(
    there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor], image: Tensor, *, tolerance: float = 0.0
) -> None:
    """There and back again leaves the values as they were and the input untouched."""
    before = image.clone()
    torch.testing.assert_close(back(there(image)), before, rtol=0, atol=tolerance)
    assert torch.equal(image, before), "the way there changed its input"


def assert_same_geometry(one: MetaTensor, other: MetaTensor, *, tolerance: float = 1e-4) -> None:
    """Two images have the same shape and put every voxel in the same place (to ``tolerance`` mm)."""
    assert one.shape == other.shape, f"{tuple(one.shape)} is not {tuple(other.shape)}"
    corners = torch.tensor(
        [[i, j, k, 1.0] for i in (0, one.shape[1]) for j in (0, one.shape[2]) for k in (0, one.shape[-1])],
        dtype=torch.float64,
    )
    distance = ((one.affine.double() - other.affine.double()) @ corners.T).abs().max()
    assert distance <= tolerance, f"voxels move by {float(distance)} mm"


def outer_corners(affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The outer corners of a volume [mm], half a voxel beyond the centres, ``(3, 8)``."""
    ends = np.array(np.meshgrid(*[(-0.5, size - 0.5) for size in shape], indexing="ij")).reshape(3, -1)
    return (affine @ np.vstack([ends, np.ones(ends.shape[1])]))[:3]
