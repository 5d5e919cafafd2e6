"""Compare the factors to SUV of real PET slices with those of z-rad and pysuv, and with the decay factors.

The slices come from a source distribution of pysuv (its `tests/data`), or from any folder. Where a program is missing
or refuses a slice, its column has a dash.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813 - the name that everyone gives it
from pydicom.dataset import Dataset

from bundle.tat.dicom.open import read_dicom_header, read_image
from bundle.tat.dicom.suv.factor import suv_assumptions, suv_factor
from bundle.tat.dicom.suv.header import radiopharmaceutical
from bundle.tat.dicom.suv.scan_start import frame_start_by_decay, read_acquisition, scan_start
from bundle.tat.refusal import RefusedInputError

# Factors count as equal if their relative difference is below this.
AGREEMENT = 1e-3


class Row(NamedTuple):
    """Factors of one slice.

    Args:
        name: of its file, without its folder.
        factor: the bundle's factor from the values of the file to SUV; ``None`` where the slice is refused.
        others: relative differences of the factors of z-rad and pysuv, or their factors where the bundle has none.
        decay: difference between the bundle's time of the decay correction and that of the decay factor [s].
        remark: reason of a refusal, or an assumption.
    """

    name: str
    factor: float | None
    others: tuple[float | None, float | None]
    decay: float | None
    remark: str


def compare(folder: Path) -> Iterator[Row]:
    """Compare every DICOM file of a folder and its subfolders."""
    for path in sorted(folder.rglob("*")):
        header = read_dicom_header(path) if path.is_file() else None
        if header is not None and header.modality == "PT":
            yield _compare_one(path, header.reason)


def _compare_one(path: Path, reason: str | None) -> Row:
    image, factor, remark = read_image(path), None, reason or ""
    try:
        factor = None if reason else suv_factor(image)
        remark = remark or "; ".join(suv_assumptions(image))
    except RefusedInputError as refusal:
        remark = str(refusal)
    theirs = (_attempt(lambda: _factor_of_zrad(path, image)), _attempt(lambda: _factor_of_pysuv(image)))
    others = tuple(one if one is None or factor is None else one / factor - 1 for one in theirs)
    decay = None if factor is None else _attempt(lambda: _beside_decay_factor(image))
    return Row(path.name, factor, (others[0], others[1]), decay, remark)


def _attempt(compute: Callable[[], float | None]) -> float | None:
    """A number, or ``None`` where a program refuses the slice with any error."""
    try:
        return compute()
    except Exception:
        return None


def _brightest(image: Dataset) -> tuple[tuple[int, ...], float]:
    """Index and rescaled value of the brightest pixel."""
    pixels = image.pixel_array.astype(float)
    index = np.unravel_index(int(np.argmax(pixels)), pixels.shape)
    value = pixels[index] * float(image.RescaleSlope) + float(image.get("RescaleIntercept") or 0)
    return tuple(int(i) for i in index), value


def _factor_of_zrad(path: Path, image: Dataset) -> float:
    zrad: Any = importlib.import_module("zrad.io.pet_suv")
    empty = sitk.GetImageFromArray(np.zeros((1, image.Rows, image.Columns)))
    suv = sitk.GetArrayFromImage(zrad.apply_suv_correction([{"file_path": str(path), "ds": image}], empty))
    index, value = _brightest(image)
    return float(suv[0][index] / value)


def _factor_of_pysuv(image: Dataset) -> float | None:
    pysuv: Any = importlib.import_module("pysuv")
    index, value = _brightest(image)
    return float(pysuv.compute_suv(image)[index] / value) or None


def _beside_decay_factor(image: Dataset) -> float | None:
    """Time from scan start to frame start by the header's times, minus the same by the decay factor [s]."""
    half_life = float(radiopharmaceutical(image).RadionuclideHalfLife)
    told = frame_start_by_decay(image, half_life)
    if told is None or float(image.DecayFactor) == 1.0:  # Philips writes 1 for all
        return None
    return (read_acquisition(image) - scan_start(image, half_life).time).total_seconds() - told


def tabulate(rows: list[Row]) -> str:
    """The table of agreement in Markdown, with a summary under it."""

    def text(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    lines = ["| slice | factor | z-rad | pysuv | decay factor [s] | |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        form = ".3g" if row.factor is None else ".4%"
        others = " | ".join(text(value, form) for value in row.others)
        lines.append(f"| {row.name} | {text(row.factor, '.6g')} | {others} | {text(row.decay, '.1f')} | {row.remark} |")
    given = [row for row in rows if row.factor is not None]
    counts = f"{len(given)} of {len(rows)} slices have a factor"
    for index, program in enumerate(("z-rad", "pysuv")):
        both = [row.others[index] for row in given if row.others[index] is not None]
        n_alike = sum(abs(value or 0.0) < AGREEMENT for value in both)
        counts += f"; {program} gives {len(both)} of them, {n_alike} within {AGREEMENT:.1%}"
    return "\n".join([*lines, "", f"{counts}."])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of PET slices, such as tests/data of pysuv's sources")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    sys.stdout.write(tabulate(list(compare(arguments.folder))) + "\n")


if __name__ == "__main__":
    main()
