"""Measure what restored scans keep and add: k-space, CT numbers, noise, PET uptake; writes one JSON file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that everyone gives it
import torch

from bundle.tat.atomic import write_json
from bundle.tat.dicom.geometry import LPS_TO_RAS
from bundle.tat.evaluation.cases import Case, read_cases
from bundle.tat.metrics.fidelity import kspace_error, noise_power_spectrum, tissue_bias, uptake_bias
from bundle.tat.metrics.restoration import evaluate_volume
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.consistency import KspaceConsistencyd

NOTE = """Biases are relative to the clean scan. Input is the degraded scan, restored the result. Without
--lesions, only the total activity of a PET scan is measured."""
Measure = Callable[[Case, "np.ndarray[Any, Any]", Path | None], dict[str, Any]]


def lesion_on_grid(mask_file: Path, case: Case) -> np.ndarray:
    """Bring a tumour mask of any format to the grid of a scan, by nearest neighbours."""
    mask = sitk.ReadImage(str(mask_file))
    lps = LPS_TO_RAS @ case.affine
    sides = np.linalg.norm(lps[:3, :3], axis=0)
    grid = sitk.Image([int(n) for n in case.image.shape], sitk.sitkUInt8)
    grid.SetOrigin(lps[:3, 3].tolist())
    grid.SetSpacing(sides.tolist())
    grid.SetDirection((lps[:3, :3] / sides).ravel().tolist())
    placed = sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.GetArrayFromImage(placed).T > 0


def measure_ct(case: Case, volume: np.ndarray, _: Path | None) -> dict[str, Any]:
    """CT numbers by tissue, and the spectrum of the noise."""
    sides = np.linalg.norm(case.affine[:3, :2], axis=0).tolist()
    spectrum = noise_power_spectrum(volume, case.label, sides)
    noise = {
        "frequencies": spectrum.frequencies.tolist(),
        "power": spectrum.power.tolist(),
        "mean_frequency": spectrum.mean_frequency,
        "variance": spectrum.variance,
    }
    bias = {tissue: found._asdict() for tissue, found in tissue_bias(volume, case.label).items()}
    return {"tissue_bias": bias, "noise": noise}


def measure_mri(case: Case, volume: np.ndarray, _: Path | None) -> dict[str, Any]:
    """Agreement with the k-space samples that were kept, and with the clean scan."""
    scores = evaluate_volume(torch.from_numpy(volume), torch.from_numpy(case.label), case.modality)
    return {"kspace_error": kspace_error(volume, case.image), "psnr": scores.psnr, "ssim": scores.ssim}


def volumes_of(case: Case) -> dict[str, np.ndarray]:
    """The measured volumes; for MRI also the result with its measured k-space, as ``data_consistency`` makes it."""
    volumes = {"input": case.image, "restored": case.restored}
    if case.modality is Modality.MRI:
        images = {"pred": case.restored, "image": case.image}
        scan = {key: torch.from_numpy(volume)[None] for key, volume in images.items()}
        projected = KspaceConsistencyd()({**scan, "modality": case.modality})["pred"]
        volumes["projected"] = projected[0].numpy()
    return volumes


def measure_pet(case: Case, volume: np.ndarray, lesions: Path | None) -> dict[str, Any]:
    """Total activity, and the lesion's SUV."""
    if lesions is None:
        return {"total": float(volume.sum(dtype=np.float64) / case.label.sum(dtype=np.float64)) - 1.0}
    return dict(uptake_bias(volume, case.label, lesion_on_grid(lesions, case))._asdict())


MEASURES: dict[Modality, Measure] = {Modality.CT: measure_ct, Modality.MRI: measure_mri, Modality.PET: measure_pet}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=NOTE)
    parser.add_argument("--datalist", type=Path, required=True, help="JSON datalist; paths in it are relative to it")
    parser.add_argument("--section", default="testing", help="section of the datalist (default: %(default)s)")
    parser.add_argument("--restored", type=Path, required=True, help="output folder of the inference")
    parser.add_argument(
        "--lesions", type=Path, help="tumour mask of the PET scan's subject, in the same patient coordinates"
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    try:
        measured = {
            case.name: {
                name: MEASURES[case.modality](case, volume, options.lesions)
                for name, volume in volumes_of(case).items()
            }
            for case in read_cases(options.datalist, options.section, options.restored)
        }
    except RefusedInputError as error:
        sys.exit(str(error))
    write_json(options.out, measured)
    for name, volumes in measured.items():
        for volume, found in volumes.items():
            print(f"{name} {volume}: {json.dumps({key: value for key, value in found.items() if key != 'noise'})}")


if __name__ == "__main__":
    main()
