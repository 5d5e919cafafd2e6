"""What a user sees on the command line when a scan is refused: one line, an exit code, and no file."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from bundle.tat.networks import TAT
from tests.scans import blobs, empty_folder, four_dimensional, unreadable, write_nifti
from tests.test_layout import ROOT

pytestmark = pytest.mark.slow


def good(folder):
    return write_nifti(folder / "x.nii.gz", blobs((16, 24, 3), -1000, 1000))


def not_a_number(folder):
    volume = blobs((16, 24, 3), -1000, 1000)
    volume[3, 4, 1] = np.nan
    return write_nifti(folder / "x.nii.gz", volume)


def wrong_weights(folder):
    torch.save(TAT(dim=8, task_features=4).state_dict(), folder / "other.pt")
    return str(folder / "other.pt")


@pytest.mark.parametrize(
    ("scan", "options", "message"),
    [
        (good, {}, "nothing tells the modality of this scan: pass --modality CT, --modality MRI or --modality PET"),
        (not_a_number, {"modality": "CT"}, "1 of 1152 voxels are NaN or infinite"),
        (four_dimensional, {"modality": "CT"}, "has a fourth dimension or colours"),
        (lambda folder: folder / "nowhere.nii.gz", {"modality": "CT"}, "does not exist"),
        (empty_folder, {"modality": "CT"}, "holds no NIfTI, NRRD or DICOM scan"),
        (unreadable, {"modality": "CT"}, "cannot read"),
        (good, {"modality": "CT", "ckpt_path": wrong_weights}, "are of another architecture than the network"),
        (good, {"modality": "CT", "slice_axis": 3}, "slice_axis is 3"),
    ],
    ids=["no modality", "NaN", "4-D", "missing path", "empty folder", "unreadable", "wrong weights", "wrong axis"],
)
def test_refusals_on_the_command_line(tmp_path, scan, options, message):
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(ROOT / "configs" / "inference.json")]
    command += ["--dataset_dir", str(scan(tmp_path)), "--output_dir", str(tmp_path / "out")]
    for name, value in options.items():
        command += [f"--{name}", str(value(tmp_path) if callable(value) else value)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("refused: ")
    assert message in last
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
