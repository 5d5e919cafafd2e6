"""Show the results of speed.py and speed_series.py: tables in the page on speed, and a picture."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bundle.tat.optional import exit_if_missing
from bundle.tat.visualize.saving import save_figure
from scripts.benchmarks.documents import ROOT, fill, markdown
from scripts.benchmarks.speed import NETWORKS

with exit_if_missing("matplotlib", extra="report"):
    from matplotlib.figure import Figure

LABELS: Final = {
    "plain": "TAT, whole maps",
    "strips": "TAT, strips",
    "strips-bf16": "TAT, strips, bfloat16",
    "brief": "TAT, strips, with a report",
    "thorough": "TAT, strips, with a thorough report",
    "restormer": "MONAI Restormer",
}
HEAD: Final = (
    "preset",
    "pixels, batch",
    "evaluation",
    "seconds",
    "CPU seconds",
    "MiB",
    "GFLOP/s (of products of matrices)",
    "Restormer's time, memory",
)
Row = Mapping[str, Any]


def table_of_series(title: str, seconds: Mapping[str, Sequence[float]]) -> str:
    """Time of whole runs.

    Args:
        title: of the first column.
        seconds: median, shortest and longest by variant; the first one is what the others are compared with.
    """
    first, *_ = seconds
    lines = [
        [LABELS[name], f"{middle:.1f} ({least:.1f} to {most:.1f})", f"{middle / seconds[first][0]:.2f}"]
        for name, (middle, least, most) in seconds.items()
    ]
    return markdown([title, "seconds (range)", "over the first row"], lines)


def beside_restormer(row: Row, rows: Sequence[Row]) -> str:
    """Time and memory of a row over those of Restormer on the same images; empty where it was not measured."""
    same = [
        other
        for other in rows
        if other["network"] == "restormer" and all(other[key] == row[key] for key in ("preset", "size", "batch"))
    ]
    if row["network"] == "restormer" or not same or same[0].get("left_out"):
        return ""
    return f"{row['seconds'] / same[0]['seconds']:.2f}, {row['peak_mib'] / same[0]['peak_mib']:.2f}"


def table(rows: Sequence[Row]) -> str:
    """Make a table of the measurements in Markdown, with the reason where one is missing."""
    lines = []
    for row in rows:
        place = [row["preset"], f"{row['size']} x {row['size']}, {row['batch']}", LABELS[row["network"]]]
        if row.get("left_out"):
            lines.append([*place, row["left_out"], "", "", "", ""])
            continue
        rate = f"{row['gflop_per_second']:.0f} ({row['share_of_matmul']:.0%})"
        figures = [f"{row['seconds']:.3g}", f"{row['cpu_seconds']:.3g}", f"{row['peak_mib']:.0f}", rate]
        lines.append([*place, *figures, beside_restormer(row, rows)])
    return markdown(HEAD, lines)


def of_one_image(rows: Sequence[Row], preset: str, network: str) -> list[Row]:
    """Measurements of a network with one image at a time."""
    case = (preset, network, 1)
    return [row for row in rows if (row["preset"], row["network"], row["batch"]) == case and not row.get("left_out")]


def growth(rows: Sequence[Row]) -> str:
    """Seconds per pixel of each size over those of 256 x 256, one image at a time."""
    lines = []
    for preset in dict.fromkeys(row["preset"] for row in rows):
        for network in NETWORKS:
            a_pixel = {row["size"]: row["seconds"] / row["size"] ** 2 for row in of_one_image(rows, preset, network)}
            if 256 in a_pixel and len(a_pixel) > 1:
                shown = ", ".join(f"{size}: {it / a_pixel[256]:.2f}" for size, it in a_pixel.items() if size != 256)
                lines.append([preset, LABELS[network], shown])
    return markdown(["preset", "evaluation", "time a pixel over that at 256 x 256"], lines)


def draw(rows: Sequence[Row], preset: str) -> Figure:
    """Plot time per megapixel and memory against the side of the image, one image at a time."""
    figure = Figure(figsize=(11.0, 4.0), dpi=100, layout="constrained")
    panels = figure.subplots(1, 2)
    for network in NETWORKS:
        measured = of_one_image(rows, preset, network)
        sizes = [row["size"] for row in measured]
        panels[0].plot(
            sizes, [r["seconds"] / r["size"] ** 2 * 1e6 for r in measured], marker="o", label=LABELS[network]
        )
        panels[1].plot(sizes, [r["peak_mib"] for r in measured], marker="o", label=LABELS[network])
    ticks = sorted({row["size"] for row in rows})
    for panel, label in zip(panels, ("seconds a megapixel", "memory [MiB]"), strict=True):
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.set(xlabel="side of the image [pixels]", ylabel=label)
        panel.grid(alpha=0.3, which="both")
        panel.legend()
    figure.suptitle(f"Inference on a CPU, one image, preset {preset}")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the measurements, draw them, and put them into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--eval", type=Path, default=Path("eval"), help="folder of the benchmarks (default: eval)")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs/pictures/speed.png", help="default: %(default)s")
    parser.add_argument(
        "--document", type=Path, default=ROOT / "docs/reference/performance.md", help="default: %(default)s"
    )
    options = parser.parse_args(arguments)
    sections = {}
    if (path := options.eval / "speed.json").exists():
        rows = json.loads(path.read_text())["rows"]
        link = options.picture.resolve().relative_to(options.document.resolve().parent).as_posix()
        sections |= {
            "speed": f"{table(rows)}\n\n![seconds a megapixel and memory by size]({link})",
            "growth": growth(rows),
        }
        save_figure(draw(rows, "full" if any(row["preset"] == "full" for row in rows) else "small"), options.picture)
    if (path := options.eval / "speed_series.json").exists():
        found = json.loads(path.read_text())
        size = "x".join(map(str, found["shape"]))
        sections["series"] = table_of_series(f"CT series of {size}, DICOM in and out", found["seconds"])
    if not sections:
        sys.exit(f"{options.eval} holds no speed.json: run scripts.benchmarks.speed first")
    fill([options.document], sections)
    print(*sections.values(), sep="\n\n")


if __name__ == "__main__":
    main()
