import json
import subprocess
import sys

import itk
import nibabel
import numpy as np
import pydicom
import pytest
import torch
from monai.bundle import ConfigWorkflow

from bundle.tat.cases.refusals import find_refusal
from bundle.tat.handlers.weights_loader import load_weights
from bundle.tat.metrics.fidelity import kspace_error
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.networks import TAT
from bundle.tat.simulation.mri import reduce_resolution
from bundle.tat.transforms.load import LoadScand
from tests.configs.conftest import CONFIGS, ROOT, content, run_config
from tests.helper import assert_same_geometry
from tests.scans import (
    blobs,
    edit_dicom,
    empty_folder,
    four_dimensional,
    oblique_affine,
    unreadable,
    write_dicom_series,
    write_nifti,
)

SAMPLES = ROOT / "tests" / "samples"
# A network that changes nothing shows what the walk around it does.
IDENTITY = {"network_def": {"_target_": "torch.nn.Identity"}, "handlers": []}


def load(path):
    return LoadScand("image")({"image": str(path)})["image"]


def restored(output_dir, name):
    return load(output_dir / name / f"{name}_restored.nii.gz")


def restore(dataset_dir, output_dir, **overrides):
    overrides.setdefault("inferer#progress", False)
    run_config("inference.json", dataset_dir=str(dataset_dir), output_dir=str(output_dir), device="cpu", **overrides)


@pytest.mark.parametrize("modality", ["CT", "MRI", "PET"])
@pytest.mark.parametrize("shape", [(21, 34, 5), (8, 8, 1), (3, 50, 2), (1, 1, 1)], ids=str)
def test_the_walk_there_and_back_changes_nothing(foreign_directory, modality, shape):
    bounds = INTENSITY_RANGES[Modality(modality)]
    volume = np.random.default_rng(0).uniform(bounds.low, bounds.high, shape).astype(np.float32)
    if modality == "MRI":
        volume = volume / 4095 * 37  # a scanner with units of its own
    path = write_nifti(foreign_directory / "in" / "scan.nii.gz", volume)
    restore(path, foreign_directory / "out", modality=modality, **IDENTITY)
    result = restored(foreign_directory / "out", "scan")
    assert_same_geometry(result, load(path))
    if modality == "MRI":
        # The brightest voxels may lie above the scale's end; they are the only ones to change.
        inside = result[0].numpy() < result.max().item() * (1 - 1e-6)
        np.testing.assert_allclose(result[0].numpy()[inside], volume[inside], atol=37e-5)
    else:
        np.testing.assert_allclose(result[0].numpy(), volume, atol=bounds.width * 2e-7)


def write_head(folder):
    """Six slices of 2.5 mm through the base of the skull, three of 7.5 mm above; returns where they lie [mm]."""
    heights = [0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 17.5, 25.0, 32.5]
    stored = blobs((9, 16, 24), -900, 900).astype(np.int16)
    for index, path in enumerate(write_dicom_series(folder, stored)):
        thickness = 2.5 if index < 6 else 7.5
        edit_dicom(path, ImagePositionPatient=[0, 0, heights[index]], SliceThickness=thickness)
    return heights, stored


def test_an_uneven_series_is_restored_slice_by_slice(foreign_directory):
    heights, stored = write_head(foreign_directory / "head")
    restore(foreign_directory / "head", foreign_directory / "out", **IDENTITY)
    images = [pydicom.dcmread(path) for path in sorted((foreign_directory / "out" / "head").glob("IM*.dcm"))]
    assert [image.ImagePositionPatient[2] for image in images] == heights
    np.testing.assert_array_equal([image.pixel_array for image in images], stored)
    record = json.loads((foreign_directory / "out" / "head" / "restoration.json").read_text())
    assert record["assumptions"] == [
        "the slices are not evenly spaced: each was restored by itself and has the position of its source"
    ]


@pytest.mark.parametrize("overrides", [{"nifti": True}, {"slice_axis": 0}])
def test_an_uneven_series_is_refused_before_the_network_where_it_must_be_even(foreign_directory, overrides):
    write_head(foreign_directory / "head")
    fails_on_any_slice = {"_target_": "torch.nn.Linear", "in_features": 5, "out_features": 1}
    overrides = {**IDENTITY, "network_def": fails_on_any_slice, **overrides}
    with pytest.raises(RuntimeError) as error:
        restore(foreign_directory / "head", foreign_directory / "out", **overrides)
    assert "restore it to DICOM only, without NIfTI" in str(find_refusal(error.value))
    assert not (foreign_directory / "out" / "head").exists()


@pytest.mark.parametrize("slice_axis", [0, 1, 2, -1])
def test_result_is_the_networks_slice_by_slice(foreign_directory, weights, slice_axis):
    volume = blobs((19, 26, 13), -1000, 500)
    path = write_nifti(foreign_directory / "scan.nii", volume)
    restore(path, foreign_directory / "out", modality="CT", slice_axis=slice_axis, ckpt_path=str(weights))

    arguments = {name: value for name, value in content("inference.json")["network_def"].items() if name != "_target_"}
    network = TAT(**arguments).eval()
    load_weights(network, str(weights))
    slices = np.moveaxis(volume, slice_axis, 0)
    expected = []
    for image in slices:
        height, width = image.shape
        unit = np.pad((image + 1024) / 4096, ((0, -height % 8), (0, -width % 8)), mode="edge")
        with torch.inference_mode():
            output = network(torch.from_numpy(unit)[None, None])[0, 0].numpy()
        expected.append(output[:height, :width] * 4096 - 1024)
    result = restored(foreign_directory / "out", "scan")[0].numpy()
    assert np.abs(result - volume).max() > 1  # the network does something
    np.testing.assert_allclose(np.moveaxis(result, slice_axis, 0), np.stack(expected), atol=0.05)


def test_command_line_from_a_foreign_directory(foreign_directory, weights):
    path = write_nifti(foreign_directory / "a file with spaces.nii.gz", blobs((21, 34, 5), -1000, 1000))
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(CONFIGS / "inference.json")]
    command += ["--dataset_dir", path.name, "--output_dir", "OUT", "--ckpt_path", str(weights)]
    done = subprocess.run([*command, "--modality", "CT"], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert "5/5" in done.stderr  # slices on the progress bar
    result = restored(foreign_directory / "OUT", "a file with spaces")
    assert_same_geometry(result, load(path))

    refused = subprocess.run([*command, "--output_dir", "NO"], capture_output=True, text=True, check=False)  # noqa: S603
    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("refused: ")
    assert "a file with spaces.nii.gz: nothing tells the modality of this scan: pass --modality CT" in last
    assert "Traceback" not in refused.stderr
    assert not (foreign_directory / "NO").exists()


@pytest.mark.parametrize("nifti", [False, "true"])
def test_real_mr_dicom_folder_becomes_a_series(foreign_directory, weights, nifti):
    out = foreign_directory / "out"
    restore(SAMPLES / "dicom_mr", out, ckpt_path=str(weights), nifti=nifti)
    source = load(SAMPLES / "dicom_mr")
    assert source.meta["modality"] == "MR"
    assert len(list((out / "dicom_mr").glob("IM*.dcm"))) == source.shape[-1]
    assert (out / "dicom_mr" / "dicom_mr_restored.nii.gz").is_file() is bool(nifti)
    if nifti:
        result = restored(out, "dicom_mr")
        assert_same_geometry(result, source)
        assert not torch.equal(result, source)


def test_pet_in_becquerel_comes_back_in_becquerel(foreign_directory):
    volume = blobs((20, 12, 4), 0, 40000)
    path = write_nifti(foreign_directory / "pet.nii.gz", volume)
    restore(path, foreign_directory / "out", modality="PET", pet_scale=1 / 4000, **IDENTITY)
    result = restored(foreign_directory / "out", "pet")[0].numpy()
    np.testing.assert_allclose(result, volume, atol=0.02)


@pytest.fixture
def full_mri(foreign_directory):
    """MRI whose detail fills k-space."""
    volume = np.random.default_rng(0).uniform(0, 900, (72, 64, 2)).astype(np.float32)
    return write_nifti(foreign_directory / "full.nii.gz", volume)


def test_mri_of_full_resolution_is_refused_unless_it_is_wanted(foreign_directory, full_mri):
    with pytest.raises(RuntimeError) as error:
        restore(full_mri, foreign_directory / "out", modality="MRI", any_resolution="false", **IDENTITY)
    assert "this MRI fills k-space along both axes of its slices" in str(find_refusal(error.value))
    assert not (foreign_directory / "out").exists()
    restore(full_mri, foreign_directory / "out", modality="MRI", any_resolution="true", **IDENTITY)
    assert restored(foreign_directory / "out", "full").shape == (1, 72, 64, 2)


def test_strength_takes_a_share_of_the_change_and_is_recorded(foreign_directory, weights):
    """Also beyond the network's range, where the scan comes back as it was."""
    # Nothing comes near 0, below which a result is clipped.
    values = blobs((40, 32, 3), 5, 9)
    values[3:5, 3:5] = 50
    path = write_nifti(foreign_directory / "a.nii.gz", values)
    made = {}
    for strength in (1, 0.25):
        out = foreign_directory / str(strength)
        restore(path, out, modality="PET", strength=strength, ckpt_path=str(weights))
        made[strength] = restored(out, "a")[0].numpy() - values
        record = json.loads((out / "a" / "restoration.json").read_text())
        assert record["settings"]["strength"] == strength
    assert np.abs(made[1]).max() > 0.01
    np.testing.assert_allclose(made[0.25], 0.25 * made[1], atol=1e-5)


@pytest.mark.parametrize("n_slices", [1, 3])
def test_data_consistency_keeps_what_was_certainly_measured(foreign_directory, weights, full_mri, n_slices):
    clean = nibabel.load(full_mri).get_fdata(dtype=np.float32)[..., :1].repeat(n_slices, axis=-1)
    low = np.stack([reduce_resolution(clean[..., index]) for index in range(n_slices)], axis=-1)
    path = write_nifti(foreign_directory / "low.nii.gz", low if n_slices > 1 else low[..., 0])
    errors = {}
    for switch in ("true", "false"):
        out = foreign_directory / switch
        restore(path, out, modality="MRI", data_consistency=switch, ckpt_path=str(weights))
        result = restored(out, "low")[0].numpy().reshape(low.shape)
        # A little less than the quarter that was kept: the part is told from the pixels.
        errors[switch] = kspace_error(result, low, factor=6)
    assert errors["true"] < 1e-5
    assert errors["false"] > 1e-3


def test_nrrd_comes_back_as_nifti_in_place(foreign_directory):
    nifti = write_nifti(foreign_directory / "a.nii.gz", blobs((21, 34, 5), 0, 9))
    itk.imwrite(itk.imread(str(nifti), itk.F), str(foreign_directory / "b.nrrd"))
    restore(foreign_directory / "b.nrrd", foreign_directory / "out", modality="PET", **IDENTITY)
    result = restored(foreign_directory / "out", "b")
    assert_same_geometry(result, load(nifti))
    np.testing.assert_allclose(result.numpy(), load(nifti).numpy(), atol=1e-5)


def test_a_folder_is_restored_scan_by_scan(foreign_directory):
    for name in ("a", "b", "c"):
        write_nifti(foreign_directory / "in" / f"{name}.nii.gz", blobs((9, 9, 2), 0, 9))
    restore(foreign_directory / "in", foreign_directory / "out", modality="PET", **IDENTITY)
    assert sorted(path.name for path in (foreign_directory / "out").iterdir() if path.is_dir()) == ["a", "b", "c"]


def test_a_single_slice_file_stays_a_single_slice(foreign_directory):
    path = write_nifti(foreign_directory / "flat.nii.gz", blobs((21, 34), 0, 9))
    restore(path, foreign_directory / "out", modality="PET", **IDENTITY)
    saved = nibabel.load(foreign_directory / "out" / "flat" / "flat_restored.nii.gz")
    assert saved.shape == (21, 34)
    np.testing.assert_allclose(saved.affine, oblique_affine(), atol=1e-4)


def test_constant_slices_come_back_unchanged(foreign_directory, weights):
    volume = blobs((20, 12, 4), -1000, 1000)
    volume[..., 2] = -1000.5
    path = write_nifti(foreign_directory / "scan.nii.gz", volume)
    restore(path, foreign_directory / "out", modality="CT", ckpt_path=str(weights))
    np.testing.assert_array_equal(restored(foreign_directory / "out", "scan")[0, ..., 2].numpy(), volume[..., 2])


def test_fixed_scale_of_mri_gives_back_what_exceeds_4095(foreign_directory):
    volume = blobs((16, 16, 3), -10, 4000)
    volume[3, 4, 1] = 5000
    path = write_nifti(foreign_directory / "scan.nii.gz", volume)
    restore(path, foreign_directory / "out", modality="MRI", mri_scale="fixed", **IDENTITY)
    result = restored(foreign_directory / "out", "scan")[0].numpy()
    np.testing.assert_allclose(result, volume, atol=1e-3)


def not_a_number(folder):
    volume = blobs((8, 8, 3), 0, 1)
    volume[1, 2, 0] = np.nan
    return write_nifti(folder / "x.nii.gz", volume)


def contradiction(folder):
    write_dicom_series(folder / "mr", blobs((3, 8, 8), 0, 99).astype(np.int16), modality="MR")
    return folder / "mr"


@pytest.mark.parametrize(
    ("scan", "message"),
    [
        (four_dimensional, "has a fourth dimension or colours"),
        (not_a_number, "1 of 192 voxels are NaN or infinite"),
        (unreadable, "cannot read"),
        (empty_folder, "holds no NIfTI, NRRD or DICOM scan"),
        (lambda folder: folder / "nowhere", "does not exist"),
        (contradiction, "the file says MRI, --modality says CT"),
    ],
)
def test_what_cannot_be_restored_is_refused_and_nothing_is_written(foreign_directory, weights, scan, message):
    with pytest.raises(RuntimeError) as caught:
        restore(scan(foreign_directory), foreign_directory / "out", modality="CT", ckpt_path=str(weights))
    refusal = find_refusal(caught.value)
    assert refusal is not None
    assert message in str(refusal)
    assert "\n" not in str(refusal)
    assert not (foreign_directory / "out").exists()


def test_weights_of_another_architecture_are_refused(foreign_directory, tmp_path):
    torch.save(TAT(dim=8, task_features=4).state_dict(), tmp_path / "other.pt")
    path = write_nifti(foreign_directory / "x.nii.gz", blobs((8, 8, 3), 0, 1))
    with pytest.raises(RuntimeError) as caught:
        restore(path, foreign_directory / "out", modality="CT", ckpt_path=str(tmp_path / "other.pt"))
    refusal = str(find_refusal(caught.value))
    assert "are of another architecture than the network: " in refusal
    assert "\n" not in refusal
    assert not (foreign_directory / "out").exists()


def test_nothing_that_monai_asks_for_is_missing(foreign_directory, weights):
    workflow = ConfigWorkflow(
        str(CONFIGS / "inference.json"),
        workflow_type="inference",
        logging_file=False,
        bundle_root=str(ROOT),
        ckpt_path=str(weights),
    )
    workflow.initialize()
    assert not workflow.check_properties()


def test_shipped_weights_fit_and_restore_the_samples(foreign_directory):
    """The shipped weights do on the committed samples what they are for: less error in every modality."""
    from bundle.tat.evaluation.cases import read_cases
    from bundle.tat.evaluation.scoring import score_case

    restore(SAMPLES / "datalist.json", foreign_directory / "out", bundle_root=str(ROOT))
    cases = read_cases(SAMPLES / "datalist.json", "testing", foreign_directory / "out")
    psnr = {(it.modality, it.method): it.means.psnr for case in cases for it in score_case(case)}
    assert {modality for modality, _ in psnr} == set(Modality)
    for modality, floor in ((Modality.CT, 2.0), (Modality.PET, 5.0), (Modality.MRI, 0.0)):
        gain = psnr[modality, "restored"] - psnr[modality, "input"]
        assert gain >= floor, f"{modality.value} gains {gain:.2f} dB"


def test_samples_datalist_is_self_contained():
    entries = json.loads((SAMPLES / "datalist.json").read_text())["testing"]
    assert {entry["modality"] for entry in entries} == {"CT", "MRI", "PET"}
    assert all((SAMPLES / entry[key]).is_file() for entry in entries for key in ("image", "label"))
