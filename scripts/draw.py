"""Draw the middle slice of every restored scan: input, restored, what was changed, and how far it is from the clean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bundle.tat.data.datalist import find_scans
from bundle.tat.evaluation.cases import AFFINE_TOLERANCE, read_cases
from bundle.tat.modality import Modality
from bundle.tat.optional import exit_if_missing
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.load import LoadScand
from bundle.tat.transforms.modality import ResolveModalityd
from bundle.tat.transforms.volume import EnsureScalarVolumed

with exit_if_missing("matplotlib", extra="report"):
    from bundle.tat.visualize.slices import Scan, draw_case, draw_scan

NOTES = {
    Modality.CT: "input: simulated low dose",
    Modality.MRI: "input: simulated k-space truncation",
    Modality.PET: "simulated PET on real anatomy; input: simulated low count",
}


def read_scans(path: Path, modality: str | None, restored: Path) -> Iterator[Scan]:
    """Read scans that have no clean image, as the inference does, and what it made of them."""
    keys = ("image", "restored")
    for item in find_scans(str(path)):
        name = item["case"]
        result = restored / name / f"{name}_restored.nii.gz"
        if not result.exists():
            raise RefusedInputError(f"{result} does not exist: restore with --nifti True")
        loaded = {**item, "restored": str(result)}
        for transform in (LoadScand(keys), ResolveModalityd("image", modality), EnsureScalarVolumed(keys)):
            loaded = transform(loaded)  # not composed: that would turn refusals into other errors
        image, changed = (loaded[key] for key in keys)
        if image.shape != changed.shape or not np.allclose(image.affine, changed.affine, atol=AFFINE_TOLERANCE):
            raise RefusedInputError(f"{result} is not on the grid of {item['image']}: restore it anew")
        arrays = {"image": image[0].numpy(), "restored": changed[0].numpy(), "affine": image.affine.numpy()}
        yield Scan(name=name, modality=Modality(loaded["modality"]), **arrays)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write one picture for each scan."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--datalist", type=Path, help="JSON datalist with clean images; paths in it are relative to it")
    what.add_argument("--scan", type=Path, help="scans without a clean image: a file, a folder or a DICOM series")
    parser.add_argument("--section", default="testing", help="section of the datalist (default: %(default)s)")
    parser.add_argument("--modality", help="of --scan, where its files do not tell: CT, PET or MRI")
    parser.add_argument("--restored", type=Path, required=True, help="folder that the inference wrote to")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures, one PNG for each scan")
    parser.add_argument("--note", default="", help="line below the title of the pictures of --scan")
    parser.add_argument("--measured", action="store_true", help="nothing was simulated: leave the note about it out")
    options = parser.parse_args(arguments)
    try:
        if options.scan is None:
            cases = read_cases(options.datalist, options.section, options.restored)
            figures = {c.name: draw_case(c, note="" if options.measured else NOTES[c.modality]) for c in cases}
        else:
            scans = read_scans(options.scan, options.modality, options.restored)
            figures = {scan.name: draw_scan(scan, note=options.note) for scan in scans}
    except RefusedInputError as refusal:
        sys.exit(str(refusal))
    options.out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        print(options.out / f"{name}.png")


if __name__ == "__main__":
    main()
