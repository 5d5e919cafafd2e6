"""Time of a whole run, DICOM series in and DICOM series out: a CT of 20 slices of 512 x 512 pixels.

The series is made by tiling the sample scan. Evaluation in strips and evaluation of whole maps take turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from bundle.tat.atomic import write_json

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "samples" / "ct_lung1_low.nii.gz"
CONFIG = ROOT / "configs" / "inference.json"
SHAPE = (512, 512, 20)
VARIANTS = {
    "strips": ["--report", "none"],
    "plain": ["--report", "none", "--network_def#max_memory", "$None"],
    "brief": ["--report", "brief"],
    "thorough": ["--report", "thorough"],
}


def write_series(
    volume: NDArray[np.int16], folder: Path, *, sop_class: UID = CTImageStorage, modality: str = "CT"
) -> None:
    """Write ``(rows, columns, slices)`` as a series; CT in Hounsfield units."""
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for index in range(volume.shape[-1]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, sop_class
        meta.MediaStorageSOPInstanceUID = generate_uid()
        path = folder / f"{index:04d}.dcm"
        image = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID, image.SOPInstanceUID, image.Modality = sop_class, meta.MediaStorageSOPInstanceUID, modality
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame
        image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0.0, 0.0, 2.5 * index]
        image.PixelSpacing, image.SliceThickness, image.InstanceNumber = [0.7, 0.7], 2.5, index + 1
        image.Rows, image.Columns = volume.shape[:2]
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 1
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.RescaleSlope, image.RescaleIntercept = 1.0, 0.0
        image.PixelData = np.ascontiguousarray(volume[..., index], dtype="<i2").tobytes()
        image.save_as(path, implicit_vr=False, little_endian=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the inference on the series in turns, print the seconds and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3, help="runs of each evaluation (default: %(default)s)")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, help="rows, columns, slices (default: 512 512 20)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="default: all")
    parser.add_argument("--out", type=Path, default=Path("eval/speed_series.json"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    sample = np.asarray(nibabel.load(SAMPLE).dataobj)
    repeats = [-(-wanted // size) for wanted, size in zip(options.shape, sample.shape, strict=True)]
    volume = np.tile(sample, repeats)[tuple(map(slice, options.shape))].round().astype(np.int16)
    seconds: dict[str, list[float]] = {variant: [] for variant in options.variants}
    with tempfile.TemporaryDirectory() as folder:
        series = Path(folder) / "series"
        series.mkdir()
        write_series(volume, series)
        for index, variant in enumerate(options.variants * options.repetitions):
            output = str(Path(folder) / f"restored_{index}")
            command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(CONFIG)]
            start = time.perf_counter()
            subprocess.run(
                [*command, "--dataset_dir", str(series), "--output_dir", output, *VARIANTS[variant]],
                check=True,
                capture_output=True,
            )
            seconds[variant].append(time.perf_counter() - start)
    figures = {variant: [median(runs), min(runs), max(runs)] for variant, runs in seconds.items()}
    print("CT series of {} x {} x {}, DICOM in and out:".format(*options.shape), figures)
    write_json(options.out, {"shape": list(options.shape), "seconds": figures})


if __name__ == "__main__":
    main()
