"""Patches with a known degradation: clean patches of many persons, with all degradations of their task."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose
from numpy.typing import NDArray

from bundle.tat.formats import case_name
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.mri import KSpaceCoverage, acquire
from bundle.tat.simulation.texture import TEXTURES, add_count_noise, textured_noise
from bundle.tat.transforms import LabelAsImaged

Patch = NDArray[np.float32]

# Number of places that are drawn; the patch with most of the body is taken.
N_PLACES: Final = 8


@dataclass(frozen=True)
class Degradation:
    """One way of degrading a clean patch.

    Args:
        task: of the patch.
        quality: kind of the degradation, in the words of the tables: texture of the noise in CT, width of the noise's
            correlation in PET, part of k-space in MRI.
        strength: standard deviation of the noise: in HU for CT, relative to the uptake for PET; ``None`` for MRI.
    """

    task: str
    quality: str
    strength: float | None = None

    def apply(self, clean: Patch, *, seed: int) -> Patch:
        """Degrade a patch ``(H, W)`` on the network's scale, as training does."""
        height, width = clean.shape
        match self.task:
            case Modality.CT.value:
                noise = textured_noise((height, width), TEXTURES[self.quality], seed=seed)
                added = clean + noise * float(self.strength or 0.0) / INTENSITY_RANGES[Modality.CT].width
            case Modality.MRI.value:
                kept = KEPT_PARTS[self.quality]
                added = acquire(clean, seed=seed, coverage=KSpaceCoverage((kept, kept)))
            case _:
                fwhm = WIDTHS[self.quality]
                added = add_count_noise(clean, level=float(self.strength or 0.0), fwhm=(fwhm, fwhm), seed=seed)
        degraded: Patch = added.clip(0.0, 1.0).astype(np.float32)
        return degraded


KEPT_PARTS: Final = {f"{kept:.0%} kept": kept for kept in (0.25, 0.4, 0.55, 0.7)}
# Pixels.
WIDTHS: Final = {f"width {fwhm:g}": fwhm for fwhm in (1.0, 2.0, 3.0)}
# Gradients are compared at the middle level.
CT_LEVELS: Final = (8.0, 16.0, 32.0)
PET_LEVELS: Final = (0.1, 0.2, 0.4)
DEGRADATIONS: Final = (
    *(Degradation(Modality.CT.value, name, level) for name in TEXTURES for level in CT_LEVELS),
    *(Degradation(Modality.MRI.value, name) for name in KEPT_PARTS),
    *(Degradation(Modality.PET.value, name, level) for name in WIDTHS for level in PET_LEVELS),
)
MIDDLE: Final = tuple(one for one in DEGRADATIONS if one.strength in (None, CT_LEVELS[1], PET_LEVELS[1]))


@dataclass(frozen=True)
class CleanPatch:
    """A clean patch.

    Args:
        task: of the scan.
        person: name of the subject; the name of the scan where the list has no subject.
        pixels: on the network's scale, ``(H, W)``.
        seed: of the degradation.
    """

    task: str
    person: str
    pixels: Patch
    seed: int


# Degradation -> pairs of a clean patch of its task and the degraded patch.
Samples = Mapping[Degradation, Sequence[tuple[CleanPatch, Patch]]]


def draw_clean(parser: ConfigParser, n_patches: int, *, seed: int = 0) -> list[CleanPatch]:
    """Draw clean patches of every person that training with these configs sees.

    Args:
        parser: training configs.
        n_patches: number of patches of each person and task, all from the person's first scan.
        seed: of the places.

    Returns:
        The patches, by task and person.

    Raises:
        RefusedInputError: ``n_patches`` is not positive.
    """
    if n_patches < 1:
        raise RefusedInputError(f"n_patches is {n_patches}: pass 1 or more, the number for each person")
    first: dict[tuple[str, str], Mapping[str, Any]] = {}
    for item in parser.get_parsed_content("train#datalist"):
        first.setdefault((str(item["modality"]), _person(item)), item)
    steps = [parser.get_parsed_content(f"train#{part}") for part in ("read", "scale")]
    read = Compose([*steps[0], LabelAsImaged("label"), *steps[1]])
    side = int(parser.get_parsed_content("train#patch_size"))
    patches = []
    for (task, person), item in sorted(first.items(), key=lambda one: one[0]):
        volume = torch.as_tensor(read({"label": item["label"], "modality": task})["label"])[0].numpy()
        random = np.random.default_rng(zlib.crc32(f"{seed}/{task}/{person}".encode()))
        body = float(volume.mean())
        patches += [
            CleanPatch(task, person, _draw_patch(volume, side, body, random), int(random.integers(2**31)))
            for _ in range(n_patches)
        ]
    return patches


def group_by_degradation(
    patches: Sequence[CleanPatch], degradations: Sequence[Degradation] = DEGRADATIONS
) -> dict[Degradation, list[tuple[CleanPatch, Patch]]]:
    """Degrade each patch in every way of its task.

    Args:
        patches: clean patches.
        degradations: degradations of all tasks.

    Returns:
        Degradation -> pairs of a clean patch of its task and the degraded patch. Each pair has its own noise.
    """
    groups: dict[Degradation, list[tuple[CleanPatch, Patch]]] = defaultdict(list)
    for number, degradation in enumerate(degradations):
        for patch in patches:
            if patch.task == degradation.task:
                groups[degradation].append((patch, degradation.apply(patch.pixels, seed=patch.seed + number)))
    return dict(groups)


def _draw_patch(volume: Patch, side: int, body: float, random: np.random.Generator) -> Patch:
    """Draw ``N_PLACES`` patches from slices ``(W, H, D)``, and take the one with most pixels above a level."""
    width, height, depth = volume.shape
    places = random.integers((width - side + 1, height - side + 1, depth), size=(N_PLACES, 3)).tolist()
    drawn = [volume[x : x + side, y : y + side, z] for x, y, z in places]
    return max(drawn, key=lambda patch: float((patch > body).mean()))


def _person(item: Mapping[str, Any]) -> str:
    return str(item.get("subject") or case_name(Path(str(item["label"]))))
