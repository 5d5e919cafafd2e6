"""Draw the noise power spectrum of a CT scan, degraded and restored, from the results of fidelity.py."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bundle.tat.optional import exit_if_missing
from bundle.tat.visualize.saving import save_figure
from scripts.benchmarks.documents import ROOT

with exit_if_missing("matplotlib", extra="report"):
    from matplotlib.figure import Figure

LABELS = {"input": "degraded (simulated)", "restored": "restored"}


def draw(noise: Mapping[str, Mapping[str, Any]], case: str) -> Figure:
    """Plot power against frequency.

    Args:
        noise: ``input`` or ``restored`` -> frequencies [1/mm], power [HU^2 mm^2] and variance [HU^2].
        case: name of the scan.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(6.5, 4.0), dpi=100, layout="constrained")
    axes = figure.subplots()
    for name, found in noise.items():
        axes.plot(
            found["frequencies"], found["power"], label=f"{LABELS[name]}: deviation {found['variance'] ** 0.5:.1f} HU"
        )
    axes.set(xlabel="frequency [1/mm]", ylabel="noise power in soft tissue [HU² mm²]", ylim=(0, None))
    axes.set_title(f"What {case} and the clean scan differ by")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the measurements and draw those of the first CT scan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measured", type=Path, help="JSON file of fidelity.py")
    parser.add_argument(
        "--picture", type=Path, default=ROOT / "docs/pictures/noise_spectrum.png", help="default: %(default)s"
    )
    options = parser.parse_args(arguments)
    for case, volumes in json.loads(options.measured.read_text(encoding="utf-8")).items():
        if "noise" in volumes["input"]:
            save_figure(draw({name: volumes[name]["noise"] for name in LABELS}, case), options.picture)
            print(options.picture)
            return
    sys.exit(f"{options.measured} holds no CT scan: run fidelity.py on a datalist with CT")


if __name__ == "__main__":
    main()
