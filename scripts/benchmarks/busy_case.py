"""Restore slices with the network and inferer of one build's inference.json, and print time and memory as JSON.

busy.py starts it in a separate process, whose working folder is that of the build. It runs on Linux only, since the
peak memory of the process is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from monai.bundle import ConfigParser

SEED = 0


def peak_bytes() -> int:
    """Peak memory of this process so far [bytes]."""
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the slices' number and size from the command line; build the network where the process was started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n_slices", type=int, required=True)
    parser.add_argument("--size", type=int, required=True, help="side of a slice in pixels")
    parser.add_argument("--restored", type=Path, required=True, help="file for the restored slices (.npy)")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help="config ids and values for inference.json, as a JSON object"
    )
    options = parser.parse_args(arguments)
    config = ConfigParser()
    config.read_config("configs/inference.json")
    config.update(options.settings)
    config.get_parsed_content("imports")
    network, inferer = (config.get_parsed_content(name) for name in ("network", "inferer"))
    network.load_state_dict(torch.load("models/model.pt", weights_only=True, map_location="cpu"))
    network.eval()
    volume = torch.rand(1, 1, options.size, options.size, options.n_slices, generator=torch.manual_seed(SEED))
    inferer(volume[..., :1], network)
    before = peak_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    restored = inferer(volume, network)
    figures = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    # What the result itself takes belongs to every build.
    print(json.dumps(figures | {"peak_mib": (peak_bytes() - before) / 2**20}))
    np.save(options.restored, restored.numpy())


if __name__ == "__main__":
    main()
