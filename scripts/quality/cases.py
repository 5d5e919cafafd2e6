"""Scans of known gain: held-out slices under many conditions, with the clean slice of each.

Pairs of ``make data`` and ``make data-real`` are used unchanged. In addition, each clean slice is degraded in other
ways, some so weak that a restoration can only do harm. A clean slice of CT or PET still holds some noise, which would
count as structure. It is removed first, so that the clean slice is exact.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
from numpy.typing import NDArray
from skimage.restoration import denoise_nl_means

from bundle.tat.metrics.regions import smoothed
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.simulation.mri import KSpaceCoverage, acquire
from bundle.tat.simulation.texture import TEXTURES, add_count_noise, textured_noise
from scripts.data.parts import TEST, TRAIN, VALIDATE
from scripts.data.real.parts import VALIDATION_TEXTURES

Slices = NDArray[np.float32]

LISTS: Final = ("datalist.json", "real.json")
# Slices of each case, and the side to which they are cropped about their middle [pixels], so that a case takes less
# than a second.
N_SLICES: Final = 1
SIDE: Final = 128
MULTIPLE: Final = 8  # of the network's sides
# Training slices of each modality and list for the distribution of the task representation.
N_TRAINING: Final = 48

LEVELS: Final = {VALIDATE: (1.0, 2.0, 4.0, 8.0, 16.0, 32.0), TEST: (1.5, 6.0, 24.0)}  # HU
SHARPENED_LEVELS: Final = {VALIDATE: (1.0, 4.0, 16.0), TEST: (1.5, 6.0, 24.0)}  # HU
# Share of the detail that a Gaussian of one pixel removes; a kernel for lung or bone adds it.
SHARPENING: Final = 1.0
COUNT_LEVELS: Final = {VALIDATE: (0.02, 0.05, 0.1, 0.2, 0.4), TEST: (0.03, 0.08, 0.25)}  # over the uptake
COUNT_WIDTHS: Final = (4.0, 8.0)  # mm
# Shares of each axis; parts that the shipped weights refuse are left out.
KEPT: Final = ((0.25, 0.25), (0.35, 0.35), (0.5, 0.5), (0.25, 0.5), (0.25, 1.0), (0.4, 1.0))
KSPACE_NOISE: Final = {VALIDATE: (0.0, 0.02), TEST: (0.0, 0.015)}  # of the brightest pixel
# Deviations that training draws from, see ``bundle.tat.transforms.degradation.scanner_noise``.
TRAINED_HU: Final = (2.0, 60.0)
TRAINED_COUNT_LEVELS: Final = (0.03, 0.6)
TRAINED_KEPT: Final = (0.2, 0.8)


@dataclass(frozen=True)
class KnownCase:
    """Slices before restoration, with their clean slices.

    Args:
        name: of the case.
        condition: degradation of the clean slices.
        modality: of the scan.
        subject: name of the person.
        image: degraded slices ``(N, H, W)``, in the modality's unit.
        label: clean slices ``(N, H, W)``, in the modality's unit.
        pixel_side: side of a pixel [mm].
        kspace_kept: share of k-space that each axis of a slice holds, for MRI.
    """

    name: str
    condition: str
    modality: Modality
    subject: str
    image: Slices
    label: Slices
    pixel_side: float
    kspace_kept: tuple[float | None, ...] = ()


def held_out_cases(folder: Path, section: str) -> Iterator[KnownCase]:
    """All cases of a section, validation or testing.

    Args:
        folder: output folder of ``make data`` and ``make data-real``.
        section: section of their lists.

    Yields:
        The cases, in the order of the lists.
    """
    seen = set()
    for entry in _entries(folder, section):
        case = _pair(folder, entry)
        yield case
        # Names of real pairs end in their degradation: a scan under many conditions is one clean scan.
        clean = (case.subject, case.name.rsplit("_", 1)[0] if entry["label"].startswith("real/") else case.name)
        if clean not in seen:
            seen.add(clean)
            yield from _degraded_anew(case, section)


def training_slices(folder: Path, modality: Modality) -> Slices:
    """Slices as in training, all of one size.

    Args:
        folder: as for ``held_out_cases``.
        modality: of the slices.

    Returns:
        ``(N, SIDE, SIDE)``, in the modality's unit.
    """
    random = np.random.default_rng(0)
    found: list[Slices] = []
    for name in LISTS:
        entries = [entry for entry in _read_list(folder / name, TRAIN) if entry["modality"] == modality.value]
        for number in np.linspace(0, len(entries) - 1, N_TRAINING).round().astype(int) if entries else ():
            entry = entries[int(number)]
            volume, side = _read(folder / entry.get("image", entry["label"]))
            image = _cut(volume, [int(random.integers(volume.shape[2]))])[0]
            found.append(image if "image" in entry else _as_training_draws(image, modality, side, random))
    return np.stack([np.pad(image, _padding(image.shape), mode="edge") for image in found])


def _padding(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(0, SIDE - side) for side in shape]


def _entries(folder: Path, section: str) -> list[dict[str, str]]:
    return [entry for name in LISTS for entry in _read_list(folder / name, section)]


def _read_list(file: Path, section: str) -> list[dict[str, str]]:
    if not file.is_file():
        return []
    listed: list[dict[str, str]] = json.loads(file.read_text(encoding="utf-8")).get(section, [])
    return listed


def _pair(folder: Path, entry: dict[str, str]) -> KnownCase:
    """A pair of the list."""
    modality = Modality(entry["modality"])
    (image, side), (label, _) = (_read(folder / entry[kind]) for kind in ("image", "label"))
    # The middle of equal parts: the ends of a scan show little.
    chosen = [int((part + 0.5) * image.shape[2] / N_SLICES) for part in range(N_SLICES)]
    name = Path(entry["image"]).name.removesuffix("_low.nii.gz")
    kept: tuple[float | None, ...] = ()
    if modality is Modality.MRI:
        kept = (0.5, 0.5) if name.endswith("_half") else (0.25, 0.25)
    return KnownCase(
        name, "pair", modality, entry["subject"], _cut(image, chosen), _cut(label, chosen), side, kspace_kept=kept
    )


def _degraded_anew(case: KnownCase, section: str) -> Iterator[KnownCase]:
    make = {Modality.CT: _with_texture, Modality.MRI: _with_less_kspace, Modality.PET: _with_fewer_counts}
    yield from make[case.modality](case, section)


def _with_texture(case: KnownCase, section: str) -> Iterator[KnownCase]:
    """CT with noise of every texture, of a usual and of a sharp kernel."""
    clean = without_noise(case.label)
    sharp = np.stack([image + SHARPENING * (image - smoothed(image, 1.0)) for image in clean])
    textures = VALIDATION_TEXTURES if section == VALIDATE else tuple(TEXTURES)
    plans = [(clean, "", name, level) for name in textures for level in LEVELS[section]]
    plans += [(sharp, "sharpened_", "sharp", level) for level in SHARPENED_LEVELS[section]]
    for label, kernel, texture, level in plans:
        condition = f"{kernel}{texture}{level:g}hu"
        noise = np.stack(
            [
                textured_noise((image.shape[0], image.shape[1]), TEXTURES[texture], seed=_seed(case, condition, index))
                for index, image in enumerate(label)
            ]
        )
        yield _anew(case, condition, label + np.float32(level) * noise, label)


def _with_fewer_counts(case: KnownCase, section: str) -> Iterator[KnownCase]:
    clean = without_noise(case.label)
    for level in COUNT_LEVELS[section]:
        for width in COUNT_WIDTHS:
            condition = f"level{level:g}_fwhm{width:g}mm"
            pixels = width / case.pixel_side
            noisy = [
                add_count_noise(image, level=level, fwhm=(pixels, pixels), seed=_seed(case, condition, index))
                for index, image in enumerate(clean)
            ]
            yield _anew(case, condition, np.stack(noisy), clean)


def _with_less_kspace(case: KnownCase, section: str) -> Iterator[KnownCase]:
    for kept in KEPT:
        for noise in KSPACE_NOISE[section]:
            condition = f"kept{kept[0]:g}x{kept[1]:g}_noise{noise:g}"
            coverage = KSpaceCoverage(kept, noise=noise)
            low = [
                acquire(image, seed=_seed(case, condition, index), coverage=coverage)
                for index, image in enumerate(case.label)
            ]
            yield _anew(case, condition, np.stack(low), case.label, kspace_kept=kept)


def without_noise(label: Slices) -> Slices:
    """Remove the remaining noise of clean slices; edges stay unchanged.

    Args:
        label: ``(N, H, W)``.

    Returns:
        The same slices without noise.
    """
    cleaned = []
    for image in label:
        # Differences of neighbours hold little but noise, with twice its variance.
        differences = np.diff(image, axis=0)
        deviation = 1.4826 * float(np.median(np.abs(differences - np.median(differences)))) / np.sqrt(2.0)
        scale = max(deviation, 1e-6)
        cleaned.append(
            denoise_nl_means(image / scale, patch_size=5, patch_distance=6, h=1.0, sigma=1.0, fast_mode=True) * scale
        )
    return np.stack(cleaned).astype(np.float32)


def _anew(
    case: KnownCase, condition: str, image: Slices, label: Slices, kspace_kept: tuple[float | None, ...] = ()
) -> KnownCase:
    bounds = INTENSITY_RANGES[case.modality]
    clipped = (slices.astype(np.float32).clip(bounds.low, bounds.high) for slices in (image, label))
    name = f"{case.name}_{condition}"
    return KnownCase(name, condition, case.modality, case.subject, *clipped, case.pixel_side, kspace_kept)


def _as_training_draws(image: Slices, modality: Modality, side: float, random: np.random.Generator) -> Slices:
    """Degrade a clean training slice with random parameters, as training does."""
    seed = int(random.integers(2**31))
    if modality is Modality.CT:
        texture = list(TEXTURES.values())[int(random.integers(len(TEXTURES)))]
        deviation = np.exp(random.uniform(*np.log(TRAINED_HU)))
        noise = textured_noise((image.shape[0], image.shape[1]), texture, seed=seed)
        return (image + np.float32(deviation) * noise).astype(np.float32)
    if modality is Modality.MRI:
        kept = float(random.uniform(*TRAINED_KEPT))
        return acquire(image, seed=seed, coverage=KSpaceCoverage((kept, kept)))
    level, width = np.exp(random.uniform(*np.log(TRAINED_COUNT_LEVELS))), random.uniform(*COUNT_WIDTHS) / side
    return add_count_noise(image, level=float(level), fwhm=(width, width), seed=seed)


def _read(path: Path) -> tuple[Slices, float]:
    """A volume and the side of its pixels [mm]."""
    image = nibabel.load(path)
    return np.asarray(image.dataobj, dtype=np.float32), float(image.header.get_zooms()[0])


def _cut(volume: Slices, chosen: list[int]) -> Slices:
    """Slices of a volume, cropped to the middle, with sides that the network accepts."""
    first = [max(0, (side - SIDE) // 2) for side in volume.shape[:2]]
    cut = volume[first[0] :, first[1] :][:SIDE, :SIDE]
    n_down, n_right = (side // MULTIPLE * MULTIPLE for side in cut.shape[:2])
    return np.ascontiguousarray(np.moveaxis(cut[:n_down, :n_right, chosen], 2, 0))


def _seed(case: KnownCase, condition: str, index: int) -> int:
    return zlib.crc32(f"{case.name}/{condition}/{index}".encode())
