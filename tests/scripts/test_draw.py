"""Drawing scans that have no clean image: every format the inference takes, or a refusal that names the file."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest

from tests.scans import oblique_affine, write_dicom_series, write_nifti

pytest.importorskip("matplotlib", reason="needs the extra report")

SHAPE = (21, 18, 4)


@pytest.fixture
def draw(monkeypatch) -> ModuleType:
    return importlib.import_module("scripts.draw")


def arguments(folder: Path, scan: str, *more: str) -> list[str]:
    paths = ["--scan", str(folder / scan), "--restored", str(folder / "out"), "--out", str(folder / "pictures")]
    return [*paths, *more]


def write_restored(folder: Path, name: str, volume: np.ndarray, affine: np.ndarray) -> None:
    write_nifti(folder / "out" / name / f"{name}_restored.nii.gz", volume, affine)


def test_a_dicom_series_without_a_clean_image_is_drawn(draw, tmp_path, capsys):
    volume = np.random.default_rng(0).uniform(0, 900, SHAPE).astype(np.float32)
    write_dicom_series(tmp_path / "series", volume)
    (scan,) = draw.find_scans(str(tmp_path / "series"))
    loaded = draw.LoadScand("image")(scan)["image"]
    write_restored(tmp_path, "series", loaded[0].numpy() + 7.0, loaded.affine.numpy())
    draw.main(arguments(tmp_path, "series", "--modality", "CT"))
    picture = tmp_path / "pictures" / "series.png"
    assert capsys.readouterr().out == f"{picture}\n"
    assert picture.read_bytes().startswith(b"\x89PNG")
    (read,) = draw.read_scans(tmp_path / "series", None, tmp_path / "out")  # the file itself says CT
    assert (read.name, read.modality.value) == ("series", "CT")
    np.testing.assert_allclose(read.restored - read.image, 7.0, atol=1e-3)


def test_a_folder_of_scans_gives_one_picture_each(draw, tmp_path):
    for name in ("a", "b"):
        volume = np.random.default_rng(0).uniform(0, 9, SHAPE).astype(np.float32)
        write_nifti(tmp_path / "in" / f"{name}.nii.gz", volume)
        write_restored(tmp_path, name, volume, nibabel.load(tmp_path / "in" / f"{name}.nii.gz").affine)
    draw.main(arguments(tmp_path, "in", "--modality", "PET"))
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["a.png", "b.png"]
    with pytest.raises(SystemExit, match="pass --modality CT"):
        draw.main(arguments(tmp_path, "in"))


def test_what_is_missing_or_elsewhere_is_refused_and_nothing_drawn(draw, tmp_path):
    volume = np.zeros(SHAPE, dtype=np.float32)
    write_nifti(tmp_path / "scan.nii.gz", volume)
    call = arguments(tmp_path, "scan.nii.gz", "--modality", "MRI")
    with pytest.raises(SystemExit, match=r"scan_restored.nii.gz does not exist: restore with --nifti"):
        draw.main(call)
    moved = oblique_affine()
    moved[0, 3] += 1.0
    write_restored(tmp_path, "scan", volume, moved)
    with pytest.raises(SystemExit, match=r"scan_restored.nii.gz is not on the grid of .*scan.nii.gz"):
        draw.main(call)
    assert not (tmp_path / "pictures").exists()


def test_a_datalist_or_scans_must_be_given(draw, tmp_path, capsys):
    with pytest.raises(SystemExit):
        draw.main(["--restored", str(tmp_path), "--out", str(tmp_path)])
    assert "--datalist --scan is required" in capsys.readouterr().err
