"""Is a verdict right on CT that is sharper than training? Slices of another package, with known noise.

The truth is the slice without its own noise, so that errors at its edges are exact. A table goes into the page.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import SimpleITK
from tqdm import tqdm

from bundle.tat.atomic import write_json
from bundle.tat.file_digest import file_sha256
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.quality.calibration import read_calibration
from bundle.tat.quality.verdict import judge
from bundle.tat.simulation.texture import TEXTURES, textured_noise
from scripts.benchmarks.documents import ROOT, fill, markdown
from scripts.benchmarks.pipeline import WEIGHTS
from scripts.data.fetch_sources import fetch
from scripts.data.sources import SHARP_SOURCE
from scripts.quality.calibrate import read_network
from scripts.quality.cases import KnownCase, without_noise
from scripts.quality.measured import MeasuredCase, measure_cases

# Of the package's slices of CT, those of 512 x 512 pixels below 0.5 mm with all of their header.
FILES: Final = {"neck, 1 mm thick": "bad_sequence.dcm", "head, 5 mm thick": "693_UNCI.dcm"}
LEVELS: Final = (2.0, 8.0, 16.0, 32.0)  # HU
VERDICTS: Final = ("as trained", "look closely", "do not use")
HEAD: Final = (
    "CT slice",
    "noise added [HU]",
    "gain [dB]",
    "gain at edges [dB]",
    "error at edges over flat tissue: before, after",
    *VERDICTS,
)


def read_clean(name: str, folder: Path) -> KnownCase:
    """A slice of the package, without its noise.

    Args:
        name: one of ``FILES``.
        folder: of the unpacked package.
    """
    image = SimpleITK.ReadImage(str(folder / "data_store" / "data" / FILES[name]), SimpleITK.sitkFloat32)
    bounds = INTENSITY_RANGES[Modality.CT]
    slices = SimpleITK.GetArrayFromImage(image).clip(bounds.low, bounds.high)
    return KnownCase(name, "", Modality.CT, name, slices, without_noise(slices), image.GetSpacing()[0])


def with_noise(clean: KnownCase) -> Iterator[KnownCase]:
    """A slice under noise of each texture and level.

    Args:
        clean: slice and truth.
    """
    bounds = INTENSITY_RANGES[Modality.CT]
    _, height, width = clean.label.shape
    for level in LEVELS:
        for seed, texture in enumerate(TEXTURES):
            noise = np.float32(level) * textured_noise((height, width), TEXTURES[texture], seed=seed)
            noisy = (clean.label + noise).clip(bounds.low, bounds.high).astype(np.float32)
            yield replace(clean, condition=f"{level:g}", image=noisy)


def _span(values: Sequence[float], form: str) -> str:
    """Least to most."""
    return " to ".join(dict.fromkeys(f"{value:{form}}" for value in (min(values), max(values))))


def row_of(cases: Sequence[MeasuredCase], verdicts: Sequence[str]) -> list[str]:
    """A row of the table: one slice and level, all textures.

    Args:
        cases: of this slice and level.
        verdicts: on each.
    """
    counts = Counter(verdicts)
    first = cases[0].case
    return [
        f"{first.name}, {first.pixel_side:.2f} mm",
        first.condition,
        _span([one.gain for one in cases], "+.2f"),
        _span([one.edge_gain for one in cases], "+.2f"),
        ", ".join(_span([one.edge_ratios[after] for one in cases], ".2f") for after in (0, 1)),
        *(str(counts[verdict]) for verdict in VERDICTS),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print the table, write it as JSON and into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=Path, default=Path("data/sources"), help="of packages (default: %(default)s)")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="default: models/model.pt")
    parser.add_argument("--table", type=Path, default=Path("eval/sharp_slices.json"), help="default: %(default)s")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "concepts" / "quality.md", help="with the marks")
    options = parser.parse_args(arguments)
    folder = fetch(SHARP_SOURCE, options.sources)
    network, calibration = read_network(options.weights), read_calibration(str(options.weights))
    rows = []
    for name in FILES:
        noisy = list(with_noise(read_clean(name, folder)))
        measured = list(measure_cases(network, tqdm(noisy, desc=name, unit="case")))
        for level in LEVELS:
            cases = [one for one in measured if one.case.condition == f"{level:g}"]
            rows.append(row_of(cases, [judge(one.measures, calibration).verdict for one in cases]))
    print(markdown(HEAD, rows))
    write_json(
        options.table,
        {"rows": [dict(zip(HEAD, row, strict=True)) for row in rows], "weights_sha256": file_sha256(options.weights)},
    )
    fill([options.page], {"sharp_slices": markdown(HEAD, rows)})


if __name__ == "__main__":
    main()
