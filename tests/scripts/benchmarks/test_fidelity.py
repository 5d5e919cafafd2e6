"""The scripts that measure what a restoration keeps, on scans whose errors are known."""

from __future__ import annotations

import importlib
import json

import nibabel
import numpy as np
import pytest

from tests.scans import blobs, write_nifti

LESION = np.s_[20:26, 30:35, 2:4]


def pair(folder, modality, clean, restored):
    """Write one case whose input is the clean scan and some; returns its entry of the datalist."""
    name = modality.lower()
    write_nifti(folder / f"{name}_low.nii.gz", (clean + 3).astype(np.float32))
    write_nifti(folder / f"{name}_full.nii.gz", clean)
    write_nifti(folder / "out" / f"{name}_low" / f"{name}_low_restored.nii.gz", restored.astype(np.float32))
    return {"image": f"{name}_low.nii.gz", "label": f"{name}_full.nii.gz", "modality": modality}


@pytest.fixture
def datalist(tmp_path):
    ct, pet = blobs((96, 80, 4), -100, 80), blobs((48, 40, 6), 1, 4)
    dimmed = pet.copy()
    dimmed[LESION] *= 0.8
    entries = [
        pair(tmp_path, "CT", ct, ct + 5),
        pair(tmp_path, "PET", pet, dimmed),
        pair(tmp_path, "MRI", 100 * pet, 102 * pet + 3),
    ]
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"testing": entries}))
    return path


@pytest.fixture
def lesions(datalist):
    """A mask on a grid of its own, twice as fine, about the lesion."""
    image = nibabel.load(datalist.parent / "pet_full.nii.gz")
    mask = np.zeros([2 * n for n in image.shape], np.uint8)
    mask[tuple(slice(2 * s.start, 2 * s.stop) for s in LESION)] = 1
    finer = np.diag([0.5, 0.5, 0.5, 1.0])
    finer[:3, 3] = -0.25
    nibabel.save(nibabel.Nifti1Image(mask, image.affine @ finer), datalist.parent / "mask.nii.gz")
    return datalist.parent / "mask.nii.gz"


def test_known_errors_are_found(datalist, lesions):
    out = datalist.parent / "fidelity.json"
    arguments = ["--datalist", str(datalist), "--restored", str(datalist.parent / "out"), "--lesions", str(lesions)]
    importlib.import_module("scripts.benchmarks.fidelity").main([*arguments, "--out", str(out)])
    found = json.loads(out.read_text())
    tissues = found["ct_low"]["restored"]["tissue_bias"]
    assert {name: bias["mean"] for name, bias in tissues.items()} == pytest.approx(dict.fromkeys(tissues, 5), abs=1e-3)
    assert found["ct_low"]["input"]["tissue_bias"]["fat"]["mean"] == pytest.approx(3, abs=1e-3)
    assert found["pet_low"]["restored"]["lesion_mean"] == pytest.approx(-0.2, abs=1e-3)
    assert found["pet_low"]["restored"]["n_voxels"] == 6 * 5 * 2
    assert found["mri_low"]["restored"]["kspace_error"] == pytest.approx(0.02, rel=0.05)
    assert found["mri_low"]["input"]["kspace_error"] == 0
    assert found["mri_low"]["projected"]["kspace_error"] < 1e-6
    assert found["mri_low"]["projected"]["psnr"] > found["mri_low"]["restored"]["psnr"]


def test_the_phantom_comes_back_as_sharp_as_it_is(tmp_path, capsys, monkeypatch):
    pytest.importorskip("astra", reason="needs the extra simulation")
    phantom = importlib.import_module("scripts.benchmarks.phantom")
    monkeypatch.setattr(phantom, "N_SLICES", 2)
    phantom.main(["--out", str(tmp_path)])
    (entry,) = json.loads((tmp_path / "datalist.json").read_text())["testing"]
    clean = nibabel.load(tmp_path / entry["label"]).get_fdata(dtype=np.float32)
    write_nifti(tmp_path / "out/ct_phantom_low/ct_phantom_low_restored.nii.gz", clean, np.diag([0.9, 0.9, 5, 1]))
    phantom.main(["--out", str(tmp_path), "--restored", str(tmp_path / "out")])
    first = capsys.readouterr().out.splitlines()[1].split()
    assert first[:2] == ["100", "HU"]
    assert first[2:6] == first[-4:]  # clean and restored: contrast and rise
    assert float(first[2]) == pytest.approx(100, abs=0.1)
    # An edge blurred by .6 pixels of .9 mm rises within 2.56 deviations.
    assert float(first[4]) == pytest.approx(2.56 * 0.6 * 0.9, rel=0.15)
