"""Making a restored MRI agree with the measured k-space."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray
from torch import Tensor

from bundle.tat.kspace.fourier_grid import apply_to_slice
from bundle.tat.kspace.truncation import central_lines
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.in_distribution import KEPT_TOLERANCE, KSPACE_KEPT
from bundle.tat.transforms.kept_input import like_restored
from bundle.tat.transforms.upsample import ACQUIRED_KEY, FinerPlane
from bundle.tat.transforms.volume import plain_tensor

# Channel and three axes of a volume.
N_AXES: Final = 4

Slice = NDArray[np.floating[Any]]


class KspaceConsistencyd(MapTransform):
    """Blend the restored and the measured k-space of an MRI scan; other modalities stay unchanged.

    Within the measured part, k-space becomes ``(1 - weight)`` of the network's and ``weight`` of the scan's. With
    weight 1, the network adds high frequencies and changes nothing else.

    Weight 1 is right where the scan was truncated on the grid of its pixels, as in the paper's data. Scanners filter
    k-space, and a magnitude image has lost its phase. For these, use a smaller weight that falls towards the edge of
    the measured part (``taper``).

    A scan that ``UpsampleMrid`` brought to a finer grid is compared on its own grid. With weight 1, bringing the result
    back to that grid gives the scan again.

    Args:
        keys: restored images, in the unit and on the grid of the degraded image.
        image_key: the degraded image, whole.
        weight: weight of the measured k-space, 0 to 1.
        taper: let the weight fall as a Hann window towards the edge of the measured part.
        slice_axis: array axis that the slices are stacked along, counted without the channel.
        factor: reduction factor of k-space along each axis; with 4, one line of four was kept. ``None`` takes the part
            that ``CheckInDistributiond`` estimated from the pixels, less its tolerance.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H, D)`` or ``(1, W, H)`` -> the same.

    Raises:
        RefusedInputError: the weight is not between 0 and 1.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        image_key: str = "image",
        *,
        weight: float = 1.0,
        taper: bool = False,
        slice_axis: int = -1,
        factor: int | None = 4,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if not 0.0 <= weight <= 1.0:
            raise RefusedInputError(f"the weight of data_consistency is {weight}: pass 0 (off) to 1 (exact)")
        self.image_key = image_key
        self.weight = weight
        self.taper = taper
        self.slice_axis = slice_axis % 3
        self.factor = factor
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Correct each slice by the difference between its k-space and the measured k-space."""
        d = dict(data)
        if Modality(d[self.modality_key]) is not Modality.MRI or self.weight == 0.0:
            return d
        for key in self.key_iterator(d):
            restored = d[key].clone()
            volume = self._as_volume(restored)
            plane = FinerPlane.of_meta(restored.meta) if isinstance(restored, MetaTensor) else None
            known_scan = like_restored(d[self.image_key], restored) if plane is None else d[ACQUIRED_KEY]
            measured = self._as_volume(known_scan)
            missing = self._missing_part(restored, plane)
            for index in range(volume.shape[1 + self.slice_axis]):
                place = volume.select(1 + self.slice_axis, index)[0]
                known = measured.select(1 + self.slice_axis, index)[0].numpy(force=True)
                correction = missing(known, place.numpy(force=True))
                place += torch.from_numpy(correction).to(place)
            d[key] = restored
        return d

    def _as_volume(self, image: Tensor) -> Tensor:
        """A view with four axes; a single slice has none to stack slices along."""
        plain = plain_tensor(image)
        return plain if plain.ndim == N_AXES else plain.unsqueeze(1 + self.slice_axis)

    def _missing_part(self, restored: Tensor, plane: FinerPlane | None) -> Callable[[Slice, Slice], Slice]:
        """A function of the measured and the restored slice that gives the correction of the restored slice."""
        if plane is None:
            return lambda known, made: real_centre_of(known - made, self._window(restored, made.shape))
        rows, columns = plane.grids
        window = centre_window((rows.n, columns.n), (rows.n, columns.n), self.weight, taper=self.taper)

        def on_own_grid(known: Slice, made: Slice) -> Slice:
            lacking = known - apply_to_slice(made, rows.coarsen, columns.coarsen)
            return apply_to_slice(real_centre_of(lacking, window), rows.refine, columns.refine)

        return on_own_grid

    def _window(self, restored: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Weight of each sample of the measured k-space."""
        height, width = shape
        if self.factor is not None:
            kept = (height // self.factor, width // self.factor)
        else:
            kept = n_lines_told(restored.meta if isinstance(restored, MetaTensor) else {}, (height, width))
        return centre_window((height, width), kept, self.weight, taper=self.taper)


def n_lines_told(meta: Mapping[str, Any], shape: tuple[int, int]) -> tuple[int, int]:
    """Number of k-space lines that a slice certainly holds.

    Args:
        meta: of the image, as ``CheckInDistributiond`` left it.
        shape: ``(W, H)`` of its slices.

    Returns:
        For each axis the lines of the estimated share, less its tolerance; 0 where there is no estimate.
    """
    shares = json.loads(meta.get(KSPACE_KEPT) or "[0, 0]")
    first, second = (
        math.floor(size * (1.0 if share == 1.0 else max((share or 0.0) - KEPT_TOLERANCE, 0.0)))
        for share, size in zip(shares, shape, strict=True)
    )
    return first, second


def centre_window(
    shape: tuple[int, int], n_kept: tuple[int, int], weight: float, *, taper: bool = False
) -> NDArray[np.float32]:
    """Weights of the centred k-space.

    Args:
        shape: ``(W, H)`` of the slice.
        n_kept: number of lines around zero that were measured along each axis.
        weight: of those lines.
        taper: let the weight fall as a Hann window towards the last of them.

    Returns:
        Values in [0, 1], 0 outside the kept part, shape ``(W, H)``.
    """
    window = np.zeros(shape, dtype=np.float32)
    falls = [np.hanning(n + 2)[1:-1] if taper else np.ones(n) for n in n_kept]
    window[tuple(central_lines(size, n) for size, n in zip(shape, n_kept, strict=True))] = weight * np.outer(*falls)
    return window


def real_centre_of(image: Slice, window: NDArray[np.float32]) -> NDArray[np.float32]:
    """The real image of least norm whose windowed k-space is that of the given image, for a window of 0 and 1.

    Args:
        image: real slice, shape ``(W, H)``.
        window: of the centred k-space, see ``centre_window``.

    Returns:
        Real slice of the same shape.
    """
    # A block of even length holds a frequency whose mirror image it lacks; a real image has both or none.
    mirrored = np.roll(window[::-1, ::-1], [1 - size % 2 for size in window.shape], axis=(0, 1))
    both = np.fft.ifftshift(np.maximum(window, mirrored))
    real: NDArray[np.float32] = np.fft.ifft2(both * np.fft.fft2(image)).real.astype(np.float32)
    return real
