"""Assertions that several test modules share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
