"""Differences between evaluation in strips and of whole maps, for the shipped weights: a table in the page on speed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from bundle.tat.networks import TAT
from bundle.tat.networks.context import middle_channels
from bundle.tat.networks.tlc import window_starts
from scripts.benchmarks.documents import ROOT, fill, markdown

# Height and width: within one TLC window of 144 pixels, two that overlap, many, and unequal numbers of them.
SIZES: Final = ((64, 64), (144, 144), (192, 192), (296, 152), (104, 384), (480, 480))
BATCHES: Final = (1, 3)
MEMORY: Final = (0.01, 8.0)  # MiB: single rows, and the default


@torch.inference_mode()
def measure(size: tuple[int, int], batch: int, networks: Sequence[TAT]) -> list[float]:
    """Largest difference of each other network to the first, over the standard deviation of the first one's change."""
    torch.manual_seed(0)
    image = torch.rand(batch, networks[0].embed.in_channels, *size)
    whole, *others = (network(image) for network in networks)
    deviation = (whole - middle_channels(image, whole.shape[1])).std()
    return [float((other - whole).abs().max() / deviation) for other in others]


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, and put the table into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=ROOT / "models/model.pt", help="default: %(default)s")
    parser.add_argument(
        "--document", type=Path, default=ROOT / "docs/reference/performance.md", help="default: %(default)s"
    )
    options = parser.parse_args(arguments)
    shape = json.loads((ROOT / "configs/inference.json").read_text(encoding="utf-8"))["network_def"]
    shape.pop("_target_")
    networks = [TAT(**shape, max_memory=max_memory).eval() for max_memory in (None, *MEMORY)]
    for network in networks:
        network.load_state_dict(torch.load(options.weights, weights_only=True))
    rows = []
    for size in SIZES:
        windows = " x ".join(str(len(window_starts(side, networks[0].encoder1.window))) for side in size)
        for batch in BATCHES:
            errors = (f"{error:.1e}" for error in measure(size, batch, networks))
            rows.append([f"{size[0]} x {size[1]}", windows, str(batch), *errors])
    head = ["pixels", "TLC windows at level 1", "batch", "single rows", "strips of 8 MiB"]
    table = markdown(head, rows)
    fill([options.document], {"exactness": table})
    print(table)


if __name__ == "__main__":
    main()
