"""Draw the middle slice of every restored scan: input, restored, clean, what was changed, and what is still wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bundle.tat.metrics.cases import read_cases
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError

try:
    from bundle.tat.metrics.pictures import draw_case
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "matplotlib":
        raise
    sys.exit("drawing needs matplotlib: pip install 'tat-medical-image-restoration[report]'")

NOTES = {
    Modality.CT: "input: simulated low dose",
    Modality.MRI: "input: simulated k-space truncation",
    Modality.PET: "simulated PET on real anatomy; input: simulated low count",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write one picture for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datalist", type=Path, required=True, help="JSON datalist; paths in it are relative to it")
    parser.add_argument("--section", default="testing", help="section of the datalist (default: %(default)s)")
    parser.add_argument("--restored", type=Path, required=True, help="folder that the inference wrote to")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures, one PNG for each case")
    parser.add_argument("--measured", action="store_true", help="nothing was simulated: leave the note about it out")
    options = parser.parse_args(arguments)
    try:
        cases = read_cases(options.datalist, options.section, options.restored)
    except RefusedInputError as refusal:
        sys.exit(str(refusal))
    options.out.mkdir(parents=True, exist_ok=True)
    for case in cases:
        path = options.out / f"{case.name}.png"
        draw_case(case, note="" if options.measured else NOTES[case.modality]).savefig(path)
        print(path)


if __name__ == "__main__":
    main()
