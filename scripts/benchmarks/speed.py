"""Time and memory of inference on this computer's CPU: TAT on whole maps and in strips, and MONAI's Restormer.

The networks take turns, with a separate process for each run. A figure is the median of its runs. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from bundle.tat.atomic import write_json

NETWORKS = ("plain", "strips", "strips-bf16", "restormer")
UNITS = {
    "seconds": "s",
    "cpu_seconds": "CPU s",
    "peak_mib": "MiB",
    "gflop_per_second": "GFLOP/s",
    "share_of_matmul": "of matmul",
}


def run(case: Sequence[object], limit: float) -> dict[str, float] | str:
    """The figures of one run, or the reason why there are none."""
    command = [sys.executable, str(Path(__file__).with_name("speed_case.py")), *map(str, case)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=True)
    except subprocess.TimeoutExpired:
        return f"takes more than {limit:.0f} s"
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip().splitlines() or [f"ended with status {error.returncode}"])[-1]
    figures: dict[str, float] = json.loads(done.stdout)
    rate = figures["gflop"] / figures["seconds"]
    return figures | {"gflop_per_second": rate, "share_of_matmul": rate / figures["matmul_gflop_per_second"]}


def measure(preset: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows of a preset, from the least to the most pixels."""
    left_out: dict[str, str] = {}
    rates = dict.fromkeys(options.networks, 0.0)
    for size, batch in sorted(product(options.sizes, options.batches), key=lambda case: case[0] ** 2 * case[1]):
        runs: dict[str, list[dict[str, float]]] = {network: [] for network in options.networks}
        for network in list(runs) * options.repetitions:
            if rates[network] * size**2 * batch > options.limit:
                left_out.setdefault(network, f"would take more than {options.limit:.0f} s")
            if network not in left_out:
                figures = run((network, preset, size, batch), options.limit)
                if isinstance(figures, str):
                    left_out[network] = figures
                else:
                    runs[network].append(figures)
        for network, measured in runs.items():
            row: dict[str, Any] = {"left_out": left_out.get(network)}
            if network not in left_out:
                row = {name: median(one[name] for one in measured) for name in measured[0]}
                rates[network] = row["seconds"] / (size**2 * batch)
            yield {"preset": preset, "network": network, "size": size, "batch": batch, **row}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every preset, size and batch; print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", choices=("full", "small"), default=["small"], help="default: small")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 256, 512, 1024], help="sides in pixels")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4], help="images in a batch")
    parser.add_argument("--repetitions", type=int, default=3, help="runs of each case (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=600, help="seconds that a process may take (default: 600)")
    parser.add_argument("--out", type=Path, default=Path("eval/speed.json"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    print(f"torch {version('torch')}, {threads} threads, median of {options.repetitions} runs\n")
    print(f"{'preset':<7}{'network':<13}{'size':>6}{'batch':>6} " + "".join(f"{unit:>10}" for unit in UNITS.values()))
    rows: list[dict[str, Any]] = []
    for preset in options.presets:
        for row in measure(preset, options):
            shown = row.get("left_out") or "".join(f"{row[name]:10.4g}" for name in UNITS)
            print(f"{preset:<7}{row['network']:<13}{row['size']:6d}{row['batch']:6d} {shown}", flush=True)
            rows.append(row)
            # After every row, so that a run that is stopped keeps its measurements.
            write_json(options.out, {"torch": version("torch"), "threads": threads, "rows": rows})


if __name__ == "__main__":
    main()
