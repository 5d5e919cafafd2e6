"""Time and memory of bringing an MRI series to a finer grid, without the network: a stand-in returns its input.

A series of 60 slices of 256 x 256 pixels goes from DICOM to DICOM, with a separate process for each factor. It runs on
Linux only, since the peak memory of a process is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.uid import MRImageStorage

from bundle.tat.atomic import write_json
from bundle.tat.data.datalist import find_scans
from bundle.tat.simulation.mri import KSpaceCoverage, acquire
from scripts.benchmarks.mri.objects import make_runner
from scripts.benchmarks.mri.phantom import draw_phantom
from scripts.benchmarks.pipeline import WEIGHTS
from scripts.benchmarks.speed_case import peak_bytes
from scripts.benchmarks.speed_series import write_series

N_SLICES: Final = 60
FACTORS: Final = ("1", "2", "3")


def measure(series: Path, output: Path, factor: str) -> dict[str, float]:
    """CPU seconds of each step, and the increase of the process's peak memory [MiB]."""
    runner = make_runner(WEIGHTS, output, None if factor == "1" else factor, any_resolution=True)
    (item,) = find_scans(str(series), "testing").items
    before = peak_bytes()
    seconds, case = {}, None
    steps = {"read": lambda: runner.read(item), "prepare": lambda: runner.prepare(case)}
    steps |= {"restore": lambda: runner.restore(case), "save": lambda: runner.save(case)}
    for name, step in steps.items():
        start = time.process_time()
        case = step()
        seconds[name] = time.process_time() - start
    return {**seconds, "peak_mib": (peak_bytes() - before) / 2**20}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every factor in turn, print the figures and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_slices", type=int, default=N_SLICES, help="default: %(default)s")
    parser.add_argument("--table", type=Path, help="JSON file to write")
    parser.add_argument(
        "--one", nargs=3, metavar=("SERIES", "OUTPUT", "FACTOR"), help="measure only this factor, and print it"
    )
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    if options.one:
        series, output, factor = options.one
        print(json.dumps(measure(Path(series), Path(output), factor)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        series = Path(scratch) / "series"
        series.mkdir()
        clean = draw_phantom()
        coverage = KSpaceCoverage(kept=(1.0, 1.0), noise=0.01)
        slices = [acquire(clean, seed=index, coverage=coverage) for index in range(options.n_slices)]
        write_series(
            np.stack(slices, axis=-1).round().astype(np.int16), series, sop_class=MRImageStorage, modality="MR"
        )
        for factor in FACTORS:
            command = [sys.executable, "-W", "ignore", "-m", "scripts.benchmarks.mri.upsampling", "--one"]
            done = subprocess.run(
                [*command, str(series), str(Path(scratch) / factor), factor], check=True, capture_output=True, text=True
            )
            found[factor] = json.loads(done.stdout.splitlines()[-1])
            print(factor, found[factor], flush=True)
    if options.table:
        write_json(options.table, {"n_slices": options.n_slices, "side": clean.shape[0], "factors": found})


if __name__ == "__main__":
    main()
