"""Make a static twin of a trained TAT: its kernels are frozen at the mean of those that it generates in training.

The mean is over training patches, with the same number for each task. The twin has the width and the operations of TAT,
but no TREN and no heads.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bundle.tat.diagnosis import draw_samples, read_configs, read_network
from bundle.tat.handlers.checkpoint import save_whole
from bundle.tat.networks.frozen_kernels import freeze_kernels
from scripts.benchmarks.fixed_budget import CONFIGS, NETWORK


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and write the twin's weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="weights of the small TAT")
    parser.add_argument("out", type=Path, help="file for the weights of the twin")
    parser.add_argument("--data", type=Path, default=Path("data"), help="prepared data (default: %(default)s)")
    parser.add_argument(
        "--n_batches", type=int, default=64, help="batches of two patches of each task (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the patches (default: %(default)s)")
    options = parser.parse_args(arguments)
    files = [CONFIGS / f"{name}.json" for name in (*NETWORK, "scanners")]
    configs = read_configs(files, dataset_dir=str(options.data.absolute()), seed=options.seed, device="cpu")
    network = read_network(configs, options.weights)
    samples = draw_samples(configs, options.n_batches)
    save_whole(freeze_kernels(network, (batch["image"] for batch in samples.batches)), options.out)


if __name__ == "__main__":
    main()
