"""Fetch public scans and make the training, validation and test pairs of TAT from them.

Writes NIfTI pairs and a datalist.json that MONAI reads. Low-dose CT, low-resolution MRI and all PET are simulated.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from cases import CASES, Case
from fetch_sources import fetch
from make_pairs import make_pair
from sources import SOURCES
from tqdm import tqdm


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default: data)")
    parser.add_argument("--seed", type=int, default=0, help="of all simulated noise (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="cases made at once (default: 2)")
    arguments = parser.parse_args()
    out: Path = arguments.out
    for source in tqdm(SOURCES, desc="fetching packages", unit="package"):
        fetch(source, out / "sources")
    provenance = describe_run(out / "sources", arguments.seed)
    done = read_done(out / "datalist.json", provenance)
    waiting = [case for case in CASES if case_path(case, "full") not in done]
    with ProcessPoolExecutor(arguments.workers) as pool:
        entries = pool.map(write_case, waiting, [out] * len(waiting), [arguments.seed] * len(waiting))
        for entry in tqdm(entries, total=len(waiting), desc="making pairs", unit="volume"):
            done[entry["label"]] = entry
            write_datalist(out / "datalist.json", done, provenance)
    print(f"{len(CASES)} pairs are listed in {out / 'datalist.json'}")


def describe_run(sources: Path, seed: int) -> dict[str, Any]:
    """Say what the data depend on."""
    packages = {name: version(name) for name in ("numpy", "scipy", "astra-toolbox")}
    archives = {next(sources.glob(source.archive)).name: source.sha256 for source in SOURCES}
    return {"seed": seed, "packages": packages, "sources": archives}


def read_done(path: Path, provenance: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Find the pairs that an earlier run with the same seed and packages finished."""
    listed = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if listed.get("provenance") != provenance:
        return {}
    entries = [entry for split in ("training", "validation", "testing") for entry in listed[split]]
    return {entry["label"]: entry for entry in entries if (path.parent / entry["label"]).is_file()}


def case_path(case: Case, kind: str) -> str:
    """Name one of the two files of a case, from the folder of the datalist."""
    return f"{case.modality.value}/{case.split}/{case.name}_{kind}.nii.gz"


def write_case(case: Case, out: Path, seed: int) -> dict[str, Any]:
    """Make a pair, write it, and describe it for the datalist."""
    pair = make_pair(case, out / "sources", seed)
    for kind, values in (("low", pair.low), ("full", pair.full)):
        write_nifti(out / case_path(case, kind), values, pair.affine)
    return {
        "image": case_path(case, "low"),
        "label": case_path(case, "full"),
        "modality": case.modality.value,
        "subject": case.subject,
        "n_slices": pair.full.shape[2],
    }


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray, *, slope: float | None = None) -> None:
    """Write a volume under a temporary name, so that an interrupted run leaves no half a file.

    ``slope`` is what a reader multiplies stored integers by.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(slope, 0 if slope else None)
    scratch = path.with_name(f"unfinished_{path.name}")
    nibabel.save(image, scratch)
    scratch.replace(path)


def write_datalist(path: Path, entries: dict[str, dict[str, Any]], provenance: dict[str, Any]) -> None:
    """Write the finished pairs by split, in the order of ``CASES``."""
    listed: dict[str, Any] = {"training": [], "validation": [], "testing": []}
    for case in CASES:
        if (label := case_path(case, "full")) in entries:
            listed[case.split].append(entries[label])
    scratch = path.with_suffix(".unfinished")
    scratch.write_text(json.dumps({**listed, "provenance": provenance}, indent=2) + "\n", encoding="utf-8")
    scratch.replace(path)


if __name__ == "__main__":
    main()
