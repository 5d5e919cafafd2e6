"""Calibrate the verdict of weights on held-out cases of known gain: writes calibration.json beside the weights.

Thresholds are chosen on the section validation, and graded on testing. Run it again for every new model.pt. It needs
the data of make data. It also uses the data of make data-real, if they exist.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from numpy.typing import NDArray
from tqdm import tqdm

import bundle.tat  # noqa: F401 - registers TAT
from bundle.tat.atomic import write_json, written_whole
from bundle.tat.file_digest import file_sha256
from bundle.tat.handlers.weights_loader import load_weights
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.networks import TAT
from bundle.tat.networks.context import count_input_channels
from bundle.tat.quality.calibration import FILE_NAME, Calibration, ModalityCalibration
from bundle.tat.quality.features import case_features
from bundle.tat.quality.verdict import judge
from scripts.data.parts import TEST, VALIDATE
from scripts.quality.cases import LISTS, held_out_cases, training_slices
from scripts.quality.conformal import fit_interval
from scripts.quality.fit import fit_modality
from scripts.quality.measured import MeasuredCase, measure_cases

ROOT = Path(__file__).resolve().parents[2]
# Significant digits of stored numbers.
DIGITS = 6


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="output folder of make data (default: data)")
    parser.add_argument(
        "--weights",
        type=Path,
        default=ROOT / "models" / "model.pt",
        help="weights to calibrate (default: models/model.pt)",
    )
    parser.add_argument(
        "--table", type=Path, default=ROOT / "eval" / "calibration.csv", help="CSV file for a table of all cases"
    )
    options = parser.parse_args(arguments)
    if not (options.data / LISTS[0]).is_file():
        sys.exit(f"{options.data / LISTS[0]} does not exist: run make data, or pass --data")
    start = time.monotonic()
    network = read_network(options.weights)
    cases = {section: measured(network, options.data, section) for section in (VALIDATE, TEST)}
    modalities = {
        modality: fitted for modality in Modality if (fitted := fit(network, modality, cases, options.data)) is not None
    }
    errors = {
        modality: interval
        for modality in Modality
        if (interval := fit_interval(*of_modality(cases, modality))) is not None
    }
    calibration = Calibration(file_sha256(options.weights), modalities, errors)
    write_table(options.table, cases, calibration)
    write_json(options.weights.with_name(FILE_NAME), to_json(calibration, options.data))
    print(tabulate(cases, calibration))
    print(f"{options.weights.with_name(FILE_NAME)} and {options.table}, {time.monotonic() - start:.0f} s")


def read_network(weights: Path) -> TAT:
    """The network of inference.json with the weights, on the CPU; ends where they need neighbouring slices."""
    if not weights.is_file():
        sys.exit(f"{weights} does not exist: pass the path of a model.pt as --weights")
    n_channels = count_input_channels(torch.load(weights, map_location="cpu", weights_only=True))
    if n_channels is not None and n_channels > 1:
        sys.exit(
            f"{weights} take {n_channels} slices together, but a benchmark case is one slice: weights that use "
            'neighbouring slices cannot be calibrated yet, and their verdict is "not calibrated"'
        )
    config = ConfigParser()
    config.read_config(str(ROOT / "configs" / "inference.json"))
    network: TAT = config.get_parsed_content("network_def")
    load_weights(network.eval(), str(weights))
    return network


def measured(network: TAT, data: Path, section: str) -> list[MeasuredCase]:
    """Restore and measure all cases of a section."""
    shown = tqdm(held_out_cases(data, section), desc=f"cases of {section}", unit="case")
    return list(measure_cases(network, shown))


def fit(
    network: TAT, modality: Modality, cases: dict[str, list[MeasuredCase]], data: Path
) -> ModalityCalibration | None:
    """Calibrate one modality; prints a message where it has too few cases."""
    fitted = fit_modality(
        modality, *of_modality(cases, modality), represent(network, training_slices(data, modality), modality)
    )
    if fitted is None:
        print(f"{modality.value}: there is no verdict, since harmful or harmless cases are too few", file=sys.stderr)
    return fitted


def of_modality(
    cases: dict[str, list[MeasuredCase]], modality: Modality
) -> tuple[list[MeasuredCase], list[MeasuredCase]]:
    """Validation cases and test cases of a modality."""
    validation, test = ([one for one in cases[of] if one.case.modality is modality] for of in (VALIDATE, TEST))
    return validation, test


def represent(network: TAT, slices: NDArray[np.float32], modality: Modality) -> NDArray[np.float32]:
    """Task representations of slices in the modality's unit."""
    bounds = INTENSITY_RANGES[modality]
    scaled = torch.from_numpy((slices - bounds.low) / bounds.width).clamp(0.0, 1.0)[:, None]
    if network.tren is None:
        return np.zeros((0, 0), np.float32)
    with torch.inference_mode():
        return np.concatenate([network.task_representation(part).numpy() for part in scaled.split(4)])


def write_table(path: Path, cases: dict[str, list[MeasuredCase]], calibration: Calibration) -> None:
    """Write the gain, the measures and the verdict of every case."""
    rows = []
    for section, listed in cases.items():
        for one in listed:
            judgement = judge(one.measures, calibration)
            rows.append(
                {
                    "section": section,
                    "modality": one.case.modality.value,
                    "case": one.case.name,
                    "condition": one.case.condition,
                    "subject": one.case.subject,
                    "gain_db": one.gain,
                    "edge_gain_db": one.edge_gain,
                    "verdict": judgement.verdict,
                    "chance_of_harm": judgement.harm,
                    "chance_at_edges": judgement.edges,
                    "reasons": "; ".join(judgement.reasons),
                    **case_features(one.measures),
                }
            )
    names = list(dict.fromkeys(name for row in rows for name in row))
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({name: rounded(value) for name, value in row.items()} for row in rows)


def to_json(calibration: Calibration, data: Path) -> dict[str, Any]:
    """The JSON form of a calibration, with its origin."""
    made_of = {name: file_sha256(data / name) for name in LISTS if (data / name).is_file()}
    modalities = {modality.value: rounded(asdict(entry)) for modality, entry in calibration.modalities.items()}
    errors = {modality.value: rounded(asdict(interval)) for modality, interval in calibration.errors.items()}
    return {
        "weights_sha256": calibration.weights_sha256,
        "made_of": made_of,
        "modalities": modalities,
        "errors": errors,
    }


def rounded(value: Any) -> Any:
    """The same content with few digits, at any depth."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def tabulate(cases: dict[str, list[MeasuredCase]], calibration: Calibration) -> str:
    """Verdicts by the outcome of the test cases, as a table in Markdown."""
    lines = ["| test cases | outcome | as trained | look closely | do not use |", "| --- | --- | --- | --- | --- |"]
    for modality in calibration.modalities:
        counts: Counter[tuple[str, str]] = Counter(
            (outcome(one), judge(one.measures, calibration).verdict)
            for one in cases[TEST]
            if one.case.modality is modality
        )
        lines += [
            f"| {modality.value} | {name} | "
            + " | ".join(str(counts[name, verdict]) for verdict in ("as trained", "look closely", "do not use"))
            + " |"
            for name in ("worse", "worse at edges", "no change", "better")
        ]
    lines += [
        f"{modality.value}: the interval of the error claims {one.level:.0%} of pixels. It holds {one.coverage[0]:.1%} "
        f"over {one.n_cases} test cases and {one.coverage[1]:.1%} in the worst case: "
        f"{'shown' if one.holds else 'not shown'} in the report"
        for modality, one in calibration.errors.items()
    ]
    lines.append(json.dumps(rounded({m.value: asdict(c)["grades"] for m, c in calibration.modalities.items()})))
    return "\n".join(lines)


def outcome(one: MeasuredCase) -> str:
    """Outcome of a case, in words."""
    if one.is_harmed:
        return "worse"
    if one.has_harmed_edges:
        return "worse at edges"
    return "better" if one.gains else "no change"


if __name__ == "__main__":
    main()
