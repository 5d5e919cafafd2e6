"""Drawing restored files: pairs of a datalist, scans of any format without a clean image, or a refusal."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs the extra report")

from bundle.tat.data.datalist import find_scans
from bundle.tat.evaluation.cases import read_cases
from bundle.tat.modality import Modality
from bundle.tat.optional import exit_if_missing
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.load import LoadScand
from bundle.tat.visualize.restored import SIMULATION_NOTES, draw_restored, read_scans
from bundle.tat.visualize.slices import draw_case, draw_scan
from tests.pictures import draw_figure, read_picture
from tests.scans import blobs, oblique_affine, write_dicom_series, write_nifti

SHAPE = (21, 18, 4)
RANGES = {"CT": (-100, 200), "MRI": (100, 1000), "PET": (0, 9)}


def write_restored(folder: Path, name: str, volume: np.ndarray, affine: np.ndarray | None = None) -> None:
    write_nifti(folder / "out" / name / f"{name}_restored.nii.gz", volume, affine)


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    """One scan a modality with its restoration under ``out``."""
    entries = []
    for modality, (low, high) in RANGES.items():
        name, clean = modality.lower(), blobs(SHAPE, low, high)
        write_nifti(tmp_path / f"{name}_full.nii.gz", clean)
        write_nifti(tmp_path / f"{name}_low.nii.gz", clean + np.float32(0.1 * high))
        write_restored(tmp_path, f"{name}_low", clean + np.float32(0.05 * high))
        entries.append({"image": f"{name}_low.nii.gz", "label": f"{name}_full.nii.gz", "modality": modality})
    (tmp_path / "datalist.json").write_text(json.dumps({"testing": entries}))
    return tmp_path / "datalist.json"


@pytest.mark.parametrize("measured", [False, True])
def test_each_case_of_a_datalist_is_drawn_with_its_note(datalist, tmp_path, measured):
    pictures = draw_restored(tmp_path / "out", str(tmp_path / "pictures"), datalist=str(datalist), measured=measured)
    assert pictures == [tmp_path / "pictures" / f"{name.lower()}_low.png" for name in RANGES]
    assert sorted(pictures) == sorted((tmp_path / "pictures").iterdir())
    for case, picture in zip(read_cases(datalist, "testing", tmp_path / "out"), pictures, strict=True):
        note = "" if measured else SIMULATION_NOTES[case.modality]
        np.testing.assert_array_equal(read_picture(picture), draw_figure(draw_case(case, note=note)))


def test_a_dicom_series_without_a_clean_image_is_drawn(tmp_path):
    volume = np.random.default_rng(0).uniform(0, 900, SHAPE).astype(np.float32)
    write_dicom_series(tmp_path / "series", volume)
    (item,) = find_scans(tmp_path / "series").items
    loaded = LoadScand("image")(item)["image"]
    write_restored(tmp_path, "series", loaded[0].numpy() + 7.0, loaded.affine.numpy())
    (read,) = read_scans(tmp_path / "series", None, tmp_path / "out")  # the file itself says CT
    assert (read.name, read.modality) == ("series", Modality.CT)
    np.testing.assert_allclose(read.restored - read.image, 7.0, atol=1e-3)
    options = {"scan": tmp_path / "series", "modality": "CT", "note": "a phantom"}
    (picture,) = draw_restored(tmp_path / "out", tmp_path / "pictures", **options)
    assert picture == tmp_path / "pictures" / "series.png"
    np.testing.assert_array_equal(read_picture(picture), draw_figure(draw_scan(read, note="a phantom")))


def test_a_folder_of_scans_gives_one_picture_each(tmp_path):
    for name in ("a", "b"):
        volume = np.random.default_rng(0).uniform(0, 9, SHAPE).astype(np.float32)
        write_nifti(tmp_path / "in" / f"{name}.nii.gz", volume)
        write_restored(tmp_path, name, volume, nibabel.load(tmp_path / "in" / f"{name}.nii.gz").affine)
    draw_restored(tmp_path / "out", tmp_path / "pictures", scan=tmp_path / "in", modality="PET")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["a.png", "b.png"]
    with pytest.raises(RefusedInputError, match="pass --modality CT"):
        draw_restored(tmp_path / "out", tmp_path / "pictures", scan=tmp_path / "in")


def test_what_is_missing_or_elsewhere_is_refused_and_nothing_drawn(tmp_path):
    volume = np.zeros(SHAPE, dtype=np.float32)
    write_nifti(tmp_path / "scan.nii.gz", volume)

    def draw() -> None:
        draw_restored(tmp_path / "out", tmp_path / "pictures", scan=tmp_path / "scan.nii.gz", modality="MRI")

    with pytest.raises(RefusedInputError, match=r"scan_restored.nii.gz does not exist: restore with --nifti"):
        draw()
    moved = oblique_affine()
    moved[0, 3] += 1.0
    write_restored(tmp_path, "scan", volume, moved)
    with pytest.raises(RefusedInputError, match=r"scan_restored.nii.gz is not on the grid of .*scan.nii.gz"):
        draw()
    assert not (tmp_path / "pictures").exists()


def test_a_case_on_another_grid_is_refused_and_nothing_drawn(datalist, tmp_path):
    moved = oblique_affine()
    moved[2, 3] += 5.0
    write_restored(tmp_path, "pet_low", np.zeros(SHAPE, dtype=np.float32), moved)
    with pytest.raises(RefusedInputError, match=r"pet_low_restored.nii.gz .* is not on the grid of .*pet_low.nii.gz"):
        draw_restored(tmp_path / "out", tmp_path / "pictures", datalist=datalist)
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize("given", [{}, {"datalist": "list.json", "scan": "scan.nii.gz"}])
def test_a_datalist_or_scans_must_be_given(tmp_path, given):
    with pytest.raises(RefusedInputError, match="pass one of them"):
        draw_restored(tmp_path, tmp_path, **given)


def test_drawing_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    for name in ("slices", "restored"):
        monkeypatch.delitem(sys.modules, f"bundle.tat.visualize.{name}", raising=False)
    with (
        pytest.raises(SystemExit, match=r"needs matplotlib: run pip install '\.\[report\]'"),
        exit_if_missing("matplotlib", extra="report"),
    ):
        importlib.import_module("bundle.tat.visualize.restored")
