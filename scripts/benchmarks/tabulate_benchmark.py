"""Put the figures of the benchmarks into the documents."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bundle.tat.cases.record import RECORD_NAME
from bundle.tat.file_digest import file_sha256
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from scripts.benchmarks.documents import ROOT, fill, markdown
from scripts.benchmarks.mri import tables as mri_tables
from scripts.benchmarks.weights import check_restored_by
from scripts.data.parts import PLANES, TORSO_VOXEL, Part
from scripts.data.robustness_parts import ANATOMY, ROBUSTNESS

DOCUMENTS: Final = ("README.md", "docs/README.md", "docs/benchmark.md", "docs/concepts/mri.md")
METHODS: Final = {"input": "degraded", "restored": "**restored**"}
DIGITS: Final = {"CT": 2, "MRI": 2, "PET": 3}
# Folders of the benchmarks' restored scans and scores; other folders beside them belong to no table.
MEASURED: Final = ("quality", "testing", "phantom", "robustness", "wrong_modality")
SHARES: Final = {Modality.CT: "dose", Modality.PET: "counts", Modality.MRI: "part of each k-space axis kept"}

# Files of the MRI benchmarks that name their weights, and the tables that are made from each.
MRI_FILES: Final = {
    "gain.json": lambda found: {
        "mri_gain": mri_tables.gain_by_scan(found["rows"]),
        "mri_axes": mri_tables.gain_by_axes(found["rows"]),
    },
    "phantom.json": lambda found: {"mri_phantom": mri_tables.mri_phantom(found)},
    "objects.json": lambda found: {
        "mri_objects": mri_tables.outcomes(found["objects"]),
        "mri_support": mri_tables.support(found["objects"]),
    },
}

Table = list[list[str]]
PsnrByCase = Mapping[str, Mapping[str, float]]  # [dB]


def quality(summary: Mapping[str, Any], methods: Sequence[str] | None = None) -> str:
    """Scores of the test split by task and method, with intervals."""
    rows: Table = []
    for task, found in summary["tasks"].items():
        base = found["methods"]["input"]["slices"]["psnr"]["mean"]
        chosen = [name for name in found["methods"] if methods is None or name in methods]
        for name in sorted(chosen, key=lambda name: (name == "restored", name != "input")):
            scores = found["methods"][name]["slices"]
            parameter = found["methods"][name]["parameter"]
            shown = METHODS.get(name, name.replace("_", " ")) + (f" ({parameter:g})" if parameter is not None else "")
            interval = scores["psnr"]["interval"]
            rows.append(
                [
                    f"{task}, {found['n_slices']} slices" if name == "input" else "",
                    shown,
                    f"{scores['psnr']['mean']:.2f} ({interval['low']:.2f} to {interval['high']:.2f})",
                    "" if name == "input" else f"{scores['psnr']['mean'] - base:+.2f}",
                    f"{scores['ssim']['mean']:.3f}",
                    f"{scores['rmse']['mean']:.{DIGITS[task]}f} {found['unit']}",
                ]
            )
    return markdown(["test split", "method", "PSNR [dB] (95 % interval)", "gain [dB]", "SSIM", "RMSE"], rows)


def provenance(summary: Mapping[str, Any]) -> str:
    """Protocol, weights and version of the scores."""
    protocol, weights, code = (summary[key] for key in ("protocol", "weights_sha256", "bundle_version"))
    return f"Protocol `{protocol}`; weights `{weights[:16]}` (SHA-256); version {code}."


def share_kept(part: Part) -> float:
    """Share of dose, counts or k-space lines in the degraded scan, relative to the clean scan."""
    shares = {Modality.CT: part.dose_fraction, Modality.PET: part.count_fraction, Modality.MRI: 1 / part.kspace_factor}
    return shares[part.modality]


def psnr_by_case(path: Path) -> PsnrByCase:
    """Read case -> method -> PSNR [dB] from the table of ``score_restored``, without cases that are not scored."""
    psnr: dict[str, dict[str, float]] = defaultdict(dict)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["psnr"]:
                psnr[row["case"]][row["method"]] = float(row["psnr"])
    return psnr


def condition(part: Part) -> str:
    """Condition of a row of the table: pixel size, plane of PET, or contrast of MRI."""
    if part.modality is Modality.PET:
        return f"{part.pixel_size or TORSO_VOXEL:g} mm, {PLANES[part.axis]}"
    return f"{part.pixel_size:g} mm" if part.pixel_size else part.variant


def robustness(psnr: PsnrByCase) -> str:
    """Gain under other conditions, one table for each modality; conditions that are not scored yet are left out."""
    texts = []
    for modality, name in SHARES.items():
        parts = [part for part in ROBUSTNESS if part.modality is modality]
        columns = sorted({share_kept(part) for part in parts}, reverse=True)
        lines: dict[str, dict[float, str]] = defaultdict(dict)
        for part in parts:
            found = psnr.get(f"{part.name}_low")
            if found is None:
                continue
            gain = f"{found['restored'] - found['input']:+.2f}"
            lines[condition(part)][share_kept(part)] = f"{found['restored']:.1f} dB" if share_kept(part) == 1 else gain
        rows = [[line, *(cells.get(column, "") for column in columns)] for line, cells in lines.items()]
        texts.append(markdown([f"{modality.value}, pixels", *(f"{name} {column:.3g}" for column in columns)], rows))
    return "\n\n".join(texts)


def anatomy(psnr: PsnrByCase) -> str:
    """Gain on anatomy that no training has seen; scans that are not scored yet are left out."""
    rows: Table = []
    for part, what in ANATOMY.items():
        if found := psnr.get(f"{part.name}_low"):
            gain = f"{found['restored'] - found['input']:+.2f}"
            rows.append([part.modality.value, what, f"{found['input']:.2f}", f"{found['restored']:.2f}", gain])
    return markdown(["task", "scan", "degraded [dB]", "restored [dB]", "gain [dB]"], rows)


def wrong_modality(found: Iterable[Mapping[str, Any]]) -> str:
    """Results of scans by their declared modality, with the right modality for comparison."""
    rows: Table = []
    for row in found:
        gain = "" if row["refused_again"] else f"{row['restored'] - row['input']:+.2f} dB"
        # The remedy follows the reason.
        first, second = (
            f"refused: {reason.partition(': ')[0]}" if reason else gain
            for reason in (row["refused"], row["refused_again"])
        )
        is_right = row["declared"] == row["scan"]
        rows.append([row["scan"], row["declared"] + " (right)" * is_right, first, second if row["refused"] else ""])
    return markdown(["scan", "declared as", "what comes of it", "with `--any_resolution True`"], rows)


def fidelity(measured: Mapping[str, Any]) -> str:
    """What the restoration kept: CT numbers, noise, k-space, uptake."""
    rows: Table = []
    for case, volumes in measured.items():
        pair = [volumes["input"], volumes["restored"]]
        if "tissue_bias" in pair[0]:
            for tissue in pair[0]["tissue_bias"]:
                biases = [volume["tissue_bias"][tissue] for volume in pair]
                shown = [f"{bias['mean']:+.2f} ({bias['deviation']:.1f}) HU" for bias in biases]
                rows.append([case, f"CT number of {tissue}: mean error (deviation)", *shown])
            shown = [f"{volume['noise']['mean_frequency']:.3f} /mm" for volume in pair]
            rows.append([case, "mean frequency of the noise in soft tissue", *shown])
            shown = [f"{volume['noise']['variance'] ** 0.5:.1f} HU" for volume in pair]
            rows.append([case, "noise in soft tissue, deviation by its spectrum", *shown])
        for key, what in (
            ("kspace_error", "measured k-space: relative error"),
            ("total", "total activity: relative error"),
            ("lesion_mean", "SUVmean of the tumour: relative error"),
            ("lesion_max", "SUVmax of the tumour: relative error"),
        ):
            if key in pair[0]:
                rows.append([case, what, *(f"{100 * volume[key]:+.1f} %" for volume in pair)])
        if "psnr" in pair[0]:
            projected = volumes["projected"]
            scores = [f"{volume['psnr']:.2f} dB, {volume['ssim']:.3f}" for volume in (*pair, projected)]
            error = f"{100 * projected['kspace_error']:+.1f} %"
            rows.append([case, "PSNR, SSIM", *scores[:2]])
            rows.append([case, "measured k-space with `data_consistency`: relative error", "", error])
            rows.append([case, "PSNR, SSIM with `data_consistency`", "", scores[2]])
    return markdown(["test scan", "measure", "degraded", "restored"], rows)


def phantom(measured: Mapping[str, Any]) -> str:
    """Sharpness and contrast of the phantom's discs."""
    rows = [
        [f"{contrast} HU", *(f"{it['contrast']:.1f} HU, {it['rise']:.2f} mm" for it in found.values())]
        for contrast, found in measured.items()
    ]
    return markdown(["disc", "clean: contrast, rise of the edge", "quarter dose", "restored"], rows)


def mri(folder: Path) -> dict[str, str]:
    """The tables of the MRI benchmarks that were run."""
    sections = {}
    for name, tabulate in MRI_FILES.items():
        if (path := folder / name).exists():
            sections |= tabulate(json.loads(path.read_text()))
    if (path := folder / "upsampling.json").exists():
        sections["mri_upsampling"] = mri_tables.upsampling(json.loads(path.read_text()))
    return sections


def check_weights(folder: Path, weights: Path) -> None:
    """Refuse results of other weights, since all tables of a page are of one file of weights.

    The files with the measures of robustness, fidelity and phantom do not name their weights. The restored scans that
    were measured do.
    """
    expected = file_sha256(weights)
    message = f"was not made with {weights}: make it again, delete it, or pass its --weights"
    parts = [folder / name for name in MEASURED]
    for summary in (*(part / "summary.json" for part in parts), *(folder / "mri" / name for name in MRI_FILES)):
        if summary.exists() and json.loads(summary.read_text())["weights_sha256"] != expected:
            raise RefusedInputError(f"{summary} {message}")
    check_restored_by(
        expected, (record.parent for part in parts for record in part.rglob(RECORD_NAME)), message=message
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the results of the benchmarks, and fill the documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--eval", type=Path, default=Path("eval"), help="folder of the benchmarks (default: %(default)s)"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=ROOT / "models" / "model.pt",
        help="weights that were measured (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    folder = options.eval
    try:
        check_weights(folder, options.weights)
    except RefusedInputError as refusal:
        sys.exit(str(refusal))
    sections = {}
    if (path := folder / "quality" / "summary.json").exists():
        summary = json.loads(path.read_text())
        sections["scores"] = quality(summary, ("input", "gaussian", "gaussian_3d", "restored"))
        sections["quality"] = quality(summary)
        sections["provenance"] = provenance(summary)
    if (path := folder / "fidelity.json").exists():
        sections["fidelity"] = fidelity(json.loads(path.read_text()))
    if (path := folder / "phantom.json").exists():
        sections["phantom"] = phantom(json.loads(path.read_text()))
    if (path := folder / "robustness.csv").exists():
        psnr = psnr_by_case(path)
        sections["robustness"] = robustness(psnr)
        sections["anatomy"] = anatomy(psnr)
    if (path := folder / "wrong_modality.json").exists():
        sections["wrong_modality"] = wrong_modality(json.loads(path.read_text()))
    sections |= mri(folder / "mri")
    fill([ROOT / document for document in DOCUMENTS], sections)
    print(f"filled {', '.join(sections) or 'nothing'}: figures of {folder}")


if __name__ == "__main__":
    main()
