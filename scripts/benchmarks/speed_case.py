"""Measure one network on images of one size, in a separate process, and print the figures as JSON.

speed.py starts it. It runs on Linux only, since the peak memory of the process is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median

import torch
from monai.networks.nets.restormer import Restormer
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bundle.tat.networks import TAT

# Short runs are repeated until this many seconds have been measured.
MIN_SECONDS = 1.0
# Side of the matrices whose product measures the speed of the computer.
MATMUL_SIDE = 1024
INFERENCE = Path(__file__).parents[2] / "configs" / "inference.json"
# Arguments of both networks, with the values of the paper's network.
SHAPE = {"dim": 48, "num_blocks": (4, 6, 6, 8), "num_refinement_blocks": 4}


def build(network: str, preset: str) -> nn.Module:
    """A network with random weights: speed does not depend on them."""
    small = json.loads(INFERENCE.read_text())["network_def"]
    arguments = {name: value for name, value in small.items() if name != "_target_"} if preset == "small" else SHAPE
    if network == "restormer":
        shape = {name: arguments[name] for name in SHAPE}
        # Compared as a network of one slice, whatever TAT takes.
        return Restormer(in_channels=1, out_channels=1, heads=(1, 2, 4, 8), **shape).eval()
    return TAT(**arguments, **({"max_memory": None} if network == "plain" else {})).eval()


def peak_bytes() -> int:
    """Peak memory of this process so far [bytes]."""
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def count_gflop(network: nn.Module, image: torch.Tensor) -> float:
    """Products of one run, counted without computing them."""
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(image.to("meta"))
    return counter.get_total_flops() / 1e9


def matmul_rate() -> float:
    """Speed of the computer in products of large matrices in single precision [GFLOP/s]."""
    matrix, seconds = torch.rand(MATMUL_SIDE, MATMUL_SIDE), []
    for _ in range(9):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2 * MATMUL_SIDE**3 / median(seconds) / 1e9


@torch.inference_mode()
def measure(network: nn.Module, image: torch.Tensor, *, bf16: bool) -> dict[str, float]:
    """Wall-clock and CPU seconds of a run, its memory [MiB], and its arithmetic."""
    seconds, cpu_seconds = [], []
    with torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else nullcontext():
        network(image[:1, :, :64, :64])
        before = peak_bytes()
        while sum(seconds) < MIN_SECONDS:
            wall, cpu = time.perf_counter(), time.process_time()
            network(image)
            seconds.append(time.perf_counter() - wall)
            cpu_seconds.append(time.process_time() - cpu)
    peak = (peak_bytes() - before) / 2**20
    return {
        "seconds": median(seconds),
        "cpu_seconds": median(cpu_seconds),
        "peak_mib": peak,
        # In the same process right after, so that a busy computer slows both.
        "matmul_gflop_per_second": matmul_rate(),
        "gflop": count_gflop(network, image),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=("plain", "strips", "strips-bf16", "restormer"))
    parser.add_argument("preset", choices=("full", "small"))
    parser.add_argument("size", type=int)
    parser.add_argument("batch", type=int)
    options = parser.parse_args(arguments)
    network = build(options.network.removesuffix("-bf16"), options.preset)
    n_channels = network.embed.in_channels if isinstance(network, TAT) else 1
    image = torch.rand(options.batch, n_channels, options.size, options.size)
    print(json.dumps(measure(network, image, bf16=options.network.endswith("bf16"))))


if __name__ == "__main__":
    main()
