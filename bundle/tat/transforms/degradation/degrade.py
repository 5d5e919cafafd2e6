"""Simulating degraded images from clean images during training, where only clean images exist."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, RandomizableTransform
from numpy.typing import NDArray

from bundle.tat.modality import Modality
from bundle.tat.optional import import_optional
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation import ct, mri, pet, uptake

Interval = tuple[float, float]

# The two sides of a pixel may differ by this share: the projections of CT and PET need square pixels.
SQUARE_TOLERANCE = 0.01
# Uptake [SUV] above which a pixel is in the body: fat and lung, which take up least, have 0.3 and more.
BODY_UPTAKE = 0.1


class SimulateDegradationd(MapTransform):
    """Make ``image`` from ``label`` by the forward model of its modality, the same each time.

    An item that already has an ``image`` stays unchanged, so pairs and clean images go through one pipeline.

    The dose of CT and the counts of PET are drawn from an interval. The generator is seeded with ``seed``, the image's
    file name and, if it has one, its entry ``draw``. So each entry of a list has its own draw, and the same one every
    time. The result can be cached, and a validation can be repeated. ``RandSimulateDegradationd`` makes a new draw each
    time.

    CT and PET are measured in transaxial planes, which are found from the affine. MRI is measured in the slices of the
    last axis. This transform is slow, so let it run before the cache: ``CacheDataset`` and ``PersistentDataset`` keep
    the result of all transforms before the first random one.

    - CT takes about 3 s for a slice of 512 x 512 pixels, and 0.8 s for 256 x 256.
    - PET takes about 0.2 s for a slice of 128 x 128 pixels.
    - MRI takes about 0.01 s.

    How realistic the pairs are:

    - **MRI**: exact, since the paper's degradation is a function of the clean image.
    - **CT**: noise is inserted into projections that are simulated from the image; see ``simulation/ct.py``.
    - **PET**: the clean image itself is taken as the activity, and is measured again without further blur. It already
      holds the noise of all its counts. So only the missing noise is added: for a fraction f of the counts, the noise
      of f / (1 - f) of them. Without a CT, the body (uptake above 0.1, holes filled) attenuates like water. Negative
      uptake is measured as 0. The result has the noise and the texture of a short scan. Scanner and reconstruction are
      those of ``simulation/pet.py``, not those that made the image.

    Args:
        keys: key of the clean image, one.
        image_key: key of the degraded image that is made.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        dose_fraction: interval of the dose of CT over that of the clean image, in (0, 1].
        count_fraction: interval of the counts of PET over those of the clean image, in (0, 0.5]; the paper's is 1/12.
        kspace_factor: reduction factor of MRI's k-space along each axis; with 4, one line of four is kept.
        seed: of the draws.

    Shape:
        ``(1, W, H)`` or ``(1, W, H, D)`` -> the same, in physical units.

    Raises:
        RefusedInputError: an interval is not ascending or not in its bounds. The image is no slice or volume, or its
            transaxial pixels are not square.
        ImportError: the optional packages ``simulation`` are not installed.
    """

    def __init__(
        self,
        keys: KeysCollection = "label",
        image_key: str = "image",
        *,
        modality_key: str = "modality",
        dose_fraction: Interval = (0.1, 0.5),
        count_fraction: Interval = (0.04, 0.17),
        kspace_factor: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__(keys)
        if len(self.keys) != 1:
            raise RefusedInputError(f"keys are {self.keys}: pass one key, that of the clean image")
        _check_interval("dose_fraction", dose_fraction, 1.0)
        _check_interval("count_fraction", count_fraction, 0.5)
        self.image_key = image_key
        self.modality_key = modality_key
        self.dose_fraction = dose_fraction
        self.count_fraction = count_fraction
        self.kspace_factor = kspace_factor
        self.seed = seed

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the degraded image."""
        d = dict(data)
        if self.image_key in d:
            return d
        clean: MetaTensor = d[self.keys[0]]
        random = self._generator(clean, int(d.get("draw", 0)))
        fractions = {
            Modality.CT: float(random.uniform(*self.dose_fraction)),
            Modality.PET: float(random.uniform(*self.count_fraction)),
        }
        seed = int(random.integers(2**31))
        modality = Modality(d[self.modality_key])
        d[self.image_key] = degrade(
            clean, modality, fraction=fractions.get(modality, 1.0), kspace_factor=self.kspace_factor, seed=seed
        )
        return d

    def _generator(self, clean: MetaTensor, draw: int) -> np.random.Generator:
        name = str(clean.meta.get("filename_or_obj", "")).replace("\\", "/").rsplit("/", 1)[-1]
        return np.random.default_rng([self.seed, zlib.crc32(name.encode()), draw])


class LabelAsImaged(MapTransform):
    """Copy a clean scan to the key of the degraded scan, until a random transform degrades its patches.

    Pairs stay unchanged. ``RandKSpaceTruncationd`` and ``RandScannerNoised`` make the degraded patch.

    Args:
        keys: key of the clean image, one.
        image_key: key of the copy.

    Shape:
        any -> the same.
    """

    def __init__(self, keys: KeysCollection = "label", image_key: str = "image") -> None:
        super().__init__(keys)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the image where there is none."""
        d = dict(data)
        if self.image_key not in d:
            d[self.image_key] = d[self.first_key(d)].clone()
        return d


class RandSimulateDegradationd(RandomizableTransform, SimulateDegradationd):
    """``SimulateDegradationd`` with a new dose, new counts and new noise each time, so that no pair repeats.

    The draws follow ``set_random_state``. Nothing after this transform is cached. So take single slices first
    (``RandSpatialCropd`` with ``roi_size`` ``(-1, -1, 1)``), and use worker processes of the loader for CT. Put
    ``MeasureMriScaled`` before the slices are taken.
    """

    def __init__(self, keys: KeysCollection = "label", image_key: str = "image", **options: Any) -> None:
        RandomizableTransform.__init__(self, prob=1.0)
        SimulateDegradationd.__init__(self, keys, image_key, **options)

    def _generator(self, clean: MetaTensor, draw: int) -> np.random.Generator:  # noqa: ARG002 - the draw does not depend on the scan
        return np.random.default_rng(self.R.randint(2**31))


def degrade(clean: MetaTensor, modality: Modality, *, fraction: float, seed: int, kspace_factor: int = 4) -> MetaTensor:
    """Degrade a clean image, slice by slice.

    Args:
        clean: ``(1, W, H)`` or ``(1, W, H, D)`` in physical units, with its affine [mm].
        modality: selects the forward model.
        fraction: dose of CT or counts of PET over those of the clean image.
        seed: of the noise; each slice has its own.
        kspace_factor: for MRI, see ``SimulateDegradationd``.

    Returns:
        The degraded image, with the metadata of the clean one.

    Raises:
        RefusedInputError: see ``SimulateDegradationd``.
    """
    if clean.ndim not in (3, 4) or clean.shape[0] != 1:
        raise RefusedInputError(f"image of shape {tuple(clean.shape)}: pass one slice (1, W, H) or volume (1, W, H, D)")
    volume = clean[0].numpy(force=True).reshape(*clean.shape[1:3], -1)
    affine = np.eye(4) if clean.affine.shape != (4, 4) else clean.affine.numpy(force=True)
    axis = 2 if modality is Modality.MRI else transaxial_axis(affine)
    slices = np.moveaxis(volume, axis, 0)
    pixel_size = 1.0 if modality is Modality.MRI else _pixel_size(affine, axis)
    seeds = np.random.SeedSequence(seed).generate_state(len(slices))
    low = [
        _degrade_slice(image, modality, pixel_size, fraction=fraction, seed=int(one), kspace_factor=kspace_factor)
        for image, one in zip(slices, seeds, strict=True)
    ]
    degraded: MetaTensor = clean.clone()
    degraded[0] = torch.from_numpy(np.moveaxis(np.stack(low), 0, axis).reshape(clean.shape[1:]))
    return degraded


def transaxial_axis(affine: NDArray[Any]) -> int:
    """Find the array axis that runs from feet to head most nearly, along which transaxial slices are stacked.

    Args:
        affine: array indices to RAS or LPS millimetres, ``(4, 4)``.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return int(np.argmax(np.abs(directions[2])))


def _pixel_size(affine: NDArray[Any], axis: int) -> float:
    """Side of the square pixels of the slices along an axis [mm]."""
    sides = np.delete(np.linalg.norm(affine[:3, :3], axis=0), axis)
    if abs(sides[0] - sides[1]) > SQUARE_TOLERANCE * sides.max():
        raise RefusedInputError(
            f"transaxial pixels of {sides[0]:.4g} x {sides[1]:.4g} mm are not square: resample with Spacingd first"
        )
    return float(sides.mean())


def _degrade_slice(
    image: NDArray[Any], modality: Modality, pixel_size: float, *, fraction: float, seed: int, kspace_factor: int
) -> NDArray[np.float32]:
    if modality is Modality.MRI:
        return mri.reduce_resolution(image, factor=kspace_factor)
    if modality not in (Modality.CT, Modality.PET):
        raise RefusedInputError(f"{modality.value} has no degradation: write one, or pass pairs of scans")
    if min(image.shape) == 1:
        raise RefusedInputError(f"transaxial slices have {image.shape} pixels: pass the whole volume")
    if modality is Modality.CT:
        return ct.reduce_dose(image, pixel_size, seed=seed, dose=ct.LowDose(dose_fraction=fraction))
    activity = np.maximum(image, 0.0)
    body = import_optional("scipy.ndimage").binary_fill_holes(activity > BODY_UPTAKE)
    acquisition = pet.Acquisition(count_fraction=fraction / (1 - fraction), resolution=0.0)
    attenuation = uptake.WATER_ATTENUATION * body
    return pet.acquire(activity, attenuation, pixel_size=pixel_size, seed=seed, acquisition=acquisition).low


def _check_interval(name: str, interval: Interval, highest: float) -> None:
    low, high = interval
    if not 0.0 < low <= high <= highest:
        raise RefusedInputError(f"{name} is {low} to {high}: pass ascending values above 0, up to {highest:g}")
