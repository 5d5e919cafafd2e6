"""PET from file to file, in three planes and in one."""

import json

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

from bundle.tat.cases.record import read_record
from tests.configs.conftest import run_config


class Smooth(nn.Module):
    """A blur along the first axis of slices: another one in each plane."""

    def forward(self, slices):
        return 0.5 * slices + 0.25 * (slices.roll(1, -2) + slices.roll(-1, -2))


def restore(scan, out, **settings):
    run_config(
        "inference.json",
        dataset_dir=str(scan),
        output_dir=str(out),
        network_def=Smooth(),
        modality="PET",
        handlers=[],
        **{"report": "none", **settings},
    )
    folder = out / "scan"
    return nibabel.load(folder / "scan_restored.nii.gz").get_fdata(), read_record(folder)


@pytest.fixture
def scan(tmp_path):
    """Nearly cubic voxels, sides of multiples of 8, and values that no step clips."""
    values = np.random.default_rng(0).uniform(2, 8, (24, 32, 16)).astype(np.float32)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.diag([3.0, 3.0, 4.0, 1.0])), path)
    return path


@pytest.mark.parametrize("slice_axis", [-1, 0])
def test_pet_is_the_average_of_its_restorations_along_three_axes(scan, tmp_path, slice_axis):
    three, record = restore(scan, tmp_path / "three", slice_axis=slice_axis)
    one = [restore(scan, tmp_path / f"{axis}", slice_axis=axis, pet_planes=False) for axis in range(3)]
    weights = [0.5 if axis == slice_axis % 3 else 0.25 for axis in range(3)]
    expected = sum(weight * values for weight, (values, _) in zip(weights, one, strict=True))
    np.testing.assert_allclose(three, expected, atol=1e-5)
    assert record.in_planes
    assert not any(other.in_planes for _, other in one)
    assert np.abs(three - one[slice_axis % 3][0]).max() > 0.1


def test_a_result_in_one_plane_is_not_taken_for_one_in_three(scan, tmp_path):
    restore(scan, tmp_path / "out", pet_planes=False)
    _, record = restore(scan, tmp_path / "out")
    assert record.in_planes


@pytest.mark.parametrize(("largest", "in_planes"), [(3.5, False), (4.0, True)])
def test_voxels_larger_than_the_pixels_of_training_are_restored_in_one_plane(scan, tmp_path, largest, in_planes):
    (tmp_path / "model.json").write_text(json.dumps({"pixel_sizes": {"PET": [2.0, largest]}}))
    torch.save({}, tmp_path / "model.pt")
    _, record = restore(scan, tmp_path / "out", ckpt_path=str(tmp_path / "model.pt"))
    assert record.in_planes is in_planes


def test_a_thorough_report_looks_at_the_stored_plane(scan, tmp_path):
    _, record = restore(scan, tmp_path / "out", report="thorough")
    assert record.in_planes
    assert (tmp_path / "out" / "report.html").is_file()
