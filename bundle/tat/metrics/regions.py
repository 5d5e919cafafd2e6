"""Regions of a slice that separate noise from structure: flat tissue, strong edges, and the body around both."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from bundle.tat.modality import Modality

Slice = NDArray[np.float32]
_Number = TypeVar("_Number", bound=np.generic)

# Side of the square blocks that noise is measured in [pixels]: larger than the correlation of most noise, and small
# enough to lie within an organ.
BLOCK_SIDE: Final = 6
# Shares: the blocks of the body with the smallest gradient are flat, its pixels with the largest gradient are edges.
FLAT_SHARE: Final = 0.2
EDGE_SHARE: Final = 0.05
# Share of a block that must be body.
BODY_SHARE: Final = 0.9
# With fewer blocks of body, nothing is measured.
MIN_BLOCKS: Final = 8
# CT: tissue is denser than this, lung included [HU]. Other modalities: share of the mean of the slice's bright half.
CT_BODY_ABOVE: Final = -950.0
BODY_ABOVE: Final = 0.2
# Widths of the Gaussian before structure is searched [pixels].
SMOOTHING: Final = 1.0


class Regions(NamedTuple):
    """Parts of a slice.

    Args:
        body: mask of tissue ``(H, W)``.
        edges: mask of strong edges within the body ``(H, W)``.
        blocks: indices of the flat blocks, in the order of ``to_blocks``.
        smooth: the smoothed slice in which the regions were found ``(H, W)``.
    """

    body: NDArray[np.bool_]
    edges: NDArray[np.bool_]
    blocks: NDArray[np.intp]
    smooth: Slice


def find_regions(restored: Slice, modality: Modality) -> Regions | None:
    """Find flat tissue and strong edges.

    They are searched in the restored slice: noise has a gradient everywhere, and hides the weaker edges of the input.

    Args:
        restored: slice ``(H, W)``, in the modality's unit.
        modality: what was scanned.

    Returns:
        The regions; ``None`` for a slice with too little tissue.
    """
    if min(restored.shape) < BLOCK_SIDE:
        return None
    smooth = smoothed(restored, SMOOTHING)
    down, right = np.gradient(smooth)
    steepness = np.hypot(down, right)
    body = smooth > _body_threshold(smooth, modality)
    in_body = to_blocks(body.astype(np.float32)).mean(axis=1) >= BODY_SHARE
    if in_body.sum() < MIN_BLOCKS:
        return None
    n_flat = max(MIN_BLOCKS, round(FLAT_SHARE * int(in_body.sum())))
    flatness = np.where(in_body, to_blocks(steepness).mean(axis=1), np.inf)
    edges = body & (steepness >= np.quantile(steepness[body], 1.0 - EDGE_SHARE))
    return Regions(body, edges, np.argsort(flatness, kind="stable")[:n_flat], smooth)


def smoothed(image: Slice, sigma: float) -> Slice:
    """Smooth a slice with a Gaussian; beyond the border, the last pixel is repeated.

    Args:
        image: ``(H, W)``.
        sigma: standard deviation [pixels].

    Returns:
        ``(H, W)``.
    """
    reach = round(3 * sigma)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.softmax(-offsets.square() / (2.0 * sigma**2), dim=0)
    pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
    rows = F.conv2d(F.pad(pixels, (0, 0, reach, reach), mode="replicate"), weights.view(1, 1, -1, 1))
    both = F.conv2d(F.pad(rows, (reach, reach, 0, 0), mode="replicate"), weights.view(1, 1, 1, -1))
    result: Slice = both[0, 0].numpy()
    return result


def to_blocks(image: NDArray[_Number]) -> NDArray[_Number]:
    """Cut a slice into square blocks; pixels left over at the end of an axis are dropped.

    Args:
        image: ``(H, W)``.

    Returns:
        ``(blocks, BLOCK_SIDE * BLOCK_SIDE)``, row of blocks by row of blocks.
    """
    n_down, n_right = (side // BLOCK_SIDE for side in image.shape)
    cut = image[: n_down * BLOCK_SIDE, : n_right * BLOCK_SIDE]
    blocks = cut.reshape(n_down, BLOCK_SIDE, n_right, BLOCK_SIDE).swapaxes(1, 2)
    return blocks.reshape(n_down * n_right, BLOCK_SIDE * BLOCK_SIDE)


def _body_threshold(smooth: Slice, modality: Modality) -> float:
    """Intensity that tissue lies above, in the modality's unit."""
    if modality is Modality.CT:
        return CT_BODY_ABOVE
    bright = smooth[smooth >= smooth.mean()]
    return BODY_ABOVE * float(bright.mean()) if bright.size else np.inf
