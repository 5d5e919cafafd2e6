"""Gain of MRI restoration by the part of k-space that is kept, by pixel size and by contrast.

Clean slices of a datalist keep a part of each axis of k-space, and the rest is filled with zeros. The network's result
and cubic interpolation of the acquired grid are compared with that input. The network restores every part that is kept.
The figures say which parts ``tat restore`` would have refused.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
import torch

from bundle.tat.atomic import write_json
from bundle.tat.evaluation.baseline_filters import CUBIC_PARAMETERS, bicubic
from bundle.tat.metrics.restoration import VolumeScores, evaluate_volume
from bundle.tat.modality import Modality
from bundle.tat.simulation.mri import KSpaceCoverage, acquire
from bundle.tat.transforms.in_distribution import support_of
from scripts.benchmarks.mri.pipeline import MriPipeline
from scripts.benchmarks.pipeline import WEIGHTS
from scripts.data.read_sources import invert_contrast
from scripts.data.volumes import Volume, resample_slices

PARTS: Final = (0.25, 0.33, 0.5, 0.67)
# Factors of the pixel size; pixels smaller than the scan's own would hold no more detail.
PIXEL_FACTORS: Final = (1.0, 1.5, 2.0)
# A part this close to the part that the clean scan itself holds removes nothing.
MARGIN: Final = 0.05

Kept = tuple[float, float]


@dataclass(frozen=True)
class Condition:
    """Changes of a clean scan before k-space is truncated, and the parts that are kept.

    Args:
        contrast: ``own`` or ``inverted``.
        pixel_factor: see ``PIXEL_FACTORS``.
        kept: parts of the two in-plane axes.
    """

    contrast: str
    pixel_factor: float
    kept: tuple[Kept, ...]


SAME_ON_BOTH: Final = tuple((part, part) for part in PARTS)
CONDITIONS: Final = (
    Condition("own", 1.0, tuple(product(PARTS, PARTS))),
    *(Condition("own", factor, SAME_ON_BOTH) for factor in PIXEL_FACTORS[1:]),
    Condition("inverted", 1.0, SAME_ON_BOTH),
)


def clean_scans(datalists: Sequence[Path], section: str, n_slices: int) -> Iterator[tuple[str, Volume]]:
    """Read ``n_slices`` evenly spaced slices of a clean MRI of each subject."""
    seen = set()
    for datalist in datalists:
        for item in json.loads(datalist.read_text(encoding="utf-8"))[section]:
            if item["modality"] != Modality.MRI.value or item["subject"] in seen:
                continue
            seen.add(item["subject"])
            image = nibabel.load(datalist.parent / item["label"])
            values = image.get_fdata(dtype=np.float32)
            chosen = np.linspace(0, values.shape[2] - 1, min(n_slices, values.shape[2]) + 2).round()[1:-1]
            yield item["subject"], Volume(values[:, :, np.unique(chosen.astype(int))], image.affine)


def change(clean: Volume, condition: Condition) -> Volume:
    """Give a clean scan the contrast and the pixels of a condition."""
    changed = clean if condition.contrast == "own" else invert_contrast(clean)
    if condition.pixel_factor == 1.0:
        return changed
    side = float(np.linalg.norm(clean.affine[:3, :2], axis=0).mean())
    return resample_slices(changed, side * condition.pixel_factor)


def measure(clean: Volume, kept: Kept, pipeline: MriPipeline) -> dict[str, Any]:
    """Scores of the zero-filled image, of the best cubic interpolation of these slices, and of the network's result."""
    coverage = KSpaceCoverage(kept=kept)
    slices = np.moveaxis(clean.values, 2, 0)
    low = np.stack([acquire(image, seed=0, coverage=coverage) for image in slices], axis=2)
    n_kept = coverage.n_kept((clean.values.shape[0], clean.values.shape[1]))
    cubic = [_score(bicubic(low, parameter, n_kept=n_kept), clean.values) for parameter in CUBIC_PARAMETERS]
    methods = {
        "zero_filled": _score(low, clean.values),
        "bicubic": max(cubic, key=lambda scores: scores.psnr),
        "restored": _score(pipeline.restore(low, clean.affine), clean.values),
    }
    scores = {name: {"psnr": found.psnr, "ssim": found.ssim} for name, found in methods.items()}
    return {"kept": list(kept), "refused": pipeline.refusal(low), **scores}


def _score(volume: np.ndarray, clean: np.ndarray) -> VolumeScores:
    return evaluate_volume(torch.from_numpy(volume), torch.from_numpy(clean), Modality.MRI)


def held_by(clean: Volume) -> list[float]:
    """Share of k-space that each axis of a clean scan holds; 1 where there is no estimate."""
    support = support_of(torch.from_numpy(np.ascontiguousarray(clean.values))[None], slice_axis=-1)
    return [1.0 if axis.kept is None else axis.kept for axis in support]


def run(subject: str, clean: Volume, pipeline: MriPipeline) -> Iterator[Mapping[str, Any]]:
    """Measure a subject under every condition that truncates k-space along both axes."""
    held = held_by(clean)
    for condition in CONDITIONS:
        changed = change(clean, condition)
        side = float(np.linalg.norm(changed.affine[:3, :2], axis=0).mean())
        head = {"subject": subject, "contrast": condition.contrast, "pixel_size": round(side, 3)}
        limits = [min(1.0, share * condition.pixel_factor) - MARGIN for share in held]
        for kept in condition.kept:
            if any(part > limit for part, limit in zip(kept, limits, strict=True)):
                continue
            row = {**head, "n_slices": changed.values.shape[2], **measure(changed, kept, pipeline)}
            gain = row["restored"]["psnr"] - row["zero_filled"]["psnr"]
            print(*head.values(), *kept, f"{gain:+.2f} dB", flush=True)
            yield row


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--datalists", type=Path, nargs="+", default=[Path("data/datalist.json"), Path("data/real.json")]
    )
    parser.add_argument("--section", default="testing", help="section of the datalists (default: %(default)s)")
    parser.add_argument("--n_slices", type=int, default=6, help="slices of each scan (default: %(default)s)")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="default: %(default)s")
    parser.add_argument("--table", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    logging.getLogger("bundle.tat").setLevel(logging.ERROR)  # every condition would warn of its resolution
    pipeline = MriPipeline(options.weights)
    scans = clean_scans(options.datalists, options.section, options.n_slices)
    rows = [row for subject, clean in scans for row in run(subject, clean, pipeline)]
    if not rows:
        sys.exit(
            f"there is no MRI in {options.section} of {', '.join(map(str, options.datalists))}: pass other datalists"
        )
    write_json(options.table, {**pipeline.provenance, "section": options.section, "rows": rows})


if __name__ == "__main__":
    main()
