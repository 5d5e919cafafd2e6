"""The application of MONAI Deploy, in its own environment, against the bundle's own command line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.dicom_sources import PATIENT_NAME, write_source
from tests.integration.test_dicom_validators import assert_no_new_errors, errors_of, needs_validators
from tests.scans import blobs
from tests.test_layout import ROOT

PYTHON = ROOT / ".venv-deploy" / "bin" / "python"
APP = ROOT / "scripts" / "hosts" / "deploy_app.py"
CONFIG = ROOT / "configs" / "inference.json"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not (PYTHON.parents[1] / ".ready").is_file(), reason="no MONAI Deploy: run make setup-deploy"),
]

# Modality, slices, and the stored values that the images span: HU + 1024, MR units, a share of Bq/ml.
SERIES = {
    "ct": ("CT", 4, (0, 2500)),
    "mr": ("MR", 5, (0, 1500)),
    "pet": ("PT", 4, (0, 12000)),
    "one_slice": ("CT", 1, (0, 2500)),
}
ROWS, COLUMNS = 36, 52
# An application that never ends would go on until the machine is stopped [s].
TIMEOUT = 900
# What the table calls a modality.
TOLD = {"CT": "CT", "MR": "MRI", "PT": "PET"}
# Elements that tell when an image was made; the last is the sequence that has such a time in it.
TIMES = ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime", "ContributionDateTime")


def write(folder: Path, name: str, **tags: str) -> list[Path]:
    """A series with UIDs of its own; a PET series starts with an empty slice, as whole-body scans do."""
    modality, n_slices, (low, high) = SERIES[name]
    stored = np.round(blobs((n_slices, ROWS, COLUMNS), low, high)).astype(np.int16 if modality == "PT" else np.uint16)
    if modality == "PT":
        stored[0] = 0
    number = list(SERIES).index(name) + 1

    def change(image: pydicom.Dataset, index: int) -> None:
        image.SeriesNumber, image.SeriesInstanceUID = number, f"1.2.826.0.3.{number}"
        image.SOPInstanceUID = f"1.2.826.0.3.{number}.{index + 1}"
        for keyword, value in tags.items():
            setattr(image, keyword, value)

    return write_source(folder / name, stored, modality, change=change)


def run(*command: object, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program in a folder that has nothing to do with the repository."""
    words = [str(word) for word in command]
    return subprocess.run(  # noqa: S603
        words,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


def app(study: Path, out: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return run(PYTHON, APP, "-i", study, "-o", out, "--uid_seed", "a test", *options, folder=study)


def bundle(python: object, study: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """The same by the bundle's own command line."""
    words = ("-m", "monai.bundle", "run", "--config_file", CONFIG, "--dataset_dir", study, "--output_dir", out)
    done = run(python, *words, "--uid_seed", "a test", folder=study)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A mixed study, and what the application and the bundle made of it; ``log`` is what the application said."""
    folder = tmp_path_factory.mktemp("deploy")
    for name in SERIES:
        write(folder / "study", name)
    (scout,) = write(folder / "elsewhere", "one_slice")
    image = pydicom.dcmread(scout)
    image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    image.SeriesInstanceUID = image.SOPInstanceUID = "1.2.826.0.3.9"
    image.save_as(folder / "study" / "scout.dcm")
    (folder / "study" / "notes.txt").write_text("no image")
    done = app(folder / "study", folder / "app")
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "log").write_text(done.stdout + done.stderr)
    bundle(PYTHON, folder / "study", folder / "bundle")
    bundle(sys.executable, folder / "study", folder / "main")
    return folder


def images(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]


def without_times(image: pydicom.Dataset) -> pydicom.Dataset:
    """An image without the moment that it was made at."""

    def forget(item: pydicom.Dataset, element: pydicom.DataElement) -> None:
        if element.keyword in TIMES:
            del item[element.tag]

    image.walk(forget)
    return image


@pytest.mark.parametrize("name", SERIES)
def test_results_are_those_of_the_bundle(folder, name):
    """Pixels, elements and record to the last bit, but for the time."""
    ours, theirs = images(folder / "app" / name), images(folder / "bundle" / name)
    assert len(ours) == len(theirs) == SERIES[name][1]
    for one, other in zip(ours, theirs, strict=True):
        assert one.file_meta == other.file_meta
        assert without_times(one) == without_times(other)
    records = [json.loads((folder / who / name / "restoration.json").read_text()) for who in ("app", "bundle")]
    assert records[0] == records[1]


@pytest.mark.parametrize("name", SERIES)
def test_results_are_those_of_the_main_environment(folder, name):
    """No pixel differs by more than one stored step."""
    ours, theirs = images(folder / "app" / name), images(folder / "main" / name)
    differences = [
        np.abs(one.pixel_array.astype(np.int32) - other.pixel_array) for one, other in zip(ours, theirs, strict=True)
    ]
    print(f"{name}: at most {np.max(differences)} stored steps")  # noqa: T201 - what the test is run to see
    assert np.max(differences) <= 1
    assert [image.SOPInstanceUID for image in ours] == [image.SOPInstanceUID for image in theirs]
    slopes = [[float(image.get("RescaleSlope", 1)) for image in series] for series in (ours, theirs)]
    np.testing.assert_allclose(*slopes, rtol=1e-5)


@needs_validators
@pytest.mark.parametrize("name", SERIES)
def test_validators_accept_the_results(folder, name):
    derived = sorted((folder / "app" / name).glob("*.dcm"))
    # The writer of sources numbers them backwards.
    assert_no_new_errors(sorted((folder / "study" / name).glob("*.dcm"), reverse=True), derived)
    assert not [error for path in derived for error in errors_of(path)]


def test_the_table_names_what_was_restored_and_what_was_skipped(folder):
    log = (folder / "log").read_text()
    for name, (modality, *_) in SERIES.items():
        assert re.search(rf"^{name} +{TOLD[modality]} +[\d.]+ +restored +[a-z ]+$", log, re.MULTILINE)
    assert re.search(r"^scout\.dcm .* skipped +a localizer \(scout\)", log, re.M)
    assert "2 skipped, 4 restored" in log


def test_nothing_about_the_patient_is_logged(folder):
    log = (folder / "log").read_text()
    assert not [word for word in (*PATIENT_NAME.split("^"), "4711", "19500102", "20200304") if word in log]


def test_a_second_run_finds_all_finished(folder):
    done = app(folder / "study", folder / "app")
    assert done.returncode == 0
    assert "6 skipped" in done.stdout


def test_refusals_end_in_one_line_and_the_other_series_goes_on(tmp_path):
    """A missing slice is noticed by the reader, a wrong unit by the operator that restores."""
    write(tmp_path / "study", "one_slice")
    write(tmp_path / "study", "ct", RescaleIntercept="30000")
    write(tmp_path / "study", "mr")[2].unlink()
    done = app(tmp_path / "study", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("refused: 2 cases failed (")
    assert "this scan has another modality or unit" in done.stdout
    assert "5.000 mm apart, the others 2.500 mm: 1 slice is missing between them" in done.stdout
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one_slice", "report.html", "report.json"]


def test_weights_of_another_network_end_the_application_in_one_line(tmp_path):
    write(tmp_path / "study", "one_slice")
    (tmp_path / "tat" / "models").mkdir(parents=True)
    (tmp_path / "tat" / "models" / "model.pt").write_text("no weights")
    shutil.copytree(ROOT / "configs", tmp_path / "tat" / "configs")
    done = app(tmp_path / "study", tmp_path / "out", "-m", tmp_path / "tat")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("refused: weights ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_folders_come_from_the_environment_of_a_package(folder, tmp_path):
    """No arguments, and a folder of models that holds the bundle in a folder of its own."""
    for name in ("configs", "models"):
        shutil.copytree(ROOT / name, tmp_path / "models" / "tat" / name)
    places = {"INPUT": folder / "study" / "one_slice", "OUTPUT": tmp_path / "out", "MODEL": tmp_path / "models"}
    done = run(PYTHON, APP, folder=tmp_path, **{f"HOLOSCAN_{name}_PATH": str(path) for name, path in places.items()})
    assert done.returncode == 0, done.stderr[-3000:]
    (ours,), (theirs,) = images(tmp_path / "out" / "one_slice"), images(folder / "app" / "one_slice")
    assert ours.PixelData == theirs.PixelData


def code_of_the_documents() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "monai-deploy.md").read_text(), re.DOTALL)
    return str(code)


def test_the_application_of_the_documents(folder):
    """Our operators behind the SDK's loader and selector, as docs/how-to/monai-deploy.md shows it."""
    done = run(PYTHON, "-c", code_of_the_documents(), folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs = images(folder / "restored" / "1.2.826.0.3.3"), images(folder / "app" / "pet")
    assert [image.PixelData for image in ours] == [image.PixelData for image in theirs]


def test_a_refused_series_ends_the_application_of_the_documents(tmp_path):
    write(tmp_path / "study", "pet")[2].unlink()
    done = run(PYTHON, "-c", code_of_the_documents(), folder=tmp_path)
    assert done.returncode == 1
    assert "RefusedInputError" in done.stderr.splitlines()[-1]
    assert (
        "slices 2 and 3 of 3 are 5.000 mm apart, the others 2.500 mm: 1 slice is missing"
        in (done.stderr.splitlines()[-1])
    )
    assert not (tmp_path / "restored").exists()


STOCK = """
import sys
import numpy as np
from monai.deploy.core import Fragment, Image
from monai.deploy.operators import MonaiBundleInferenceOperator
from bundle.tat.deploy.volumes import to_volume
from bundle.tat.transforms import LoadScand

image = Image(*to_volume(LoadScand("image")({"image": sys.argv[1]})["image"]))
stock = MonaiBundleInferenceOperator(Fragment(), app_context=None, input_mapping=[], output_mapping=[])
values, meta = stock._convert_from_image(image)
np.savez(sys.argv[2], values=values, affine=meta["affine"], spacing=meta["spacing"])
"""


def test_the_stock_inference_operator_takes_our_image_for_what_it_is(folder, tmp_path):
    done = run(PYTHON, "-c", STOCK, folder / "study" / "pet", tmp_path / "stock.npz", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    stock = np.load(tmp_path / "stock.npz")
    assert stock["values"].shape == (COLUMNS, ROWS, SERIES["pet"][1])
    np.testing.assert_allclose(stock["spacing"], [0.6, 0.8, 2.5], atol=1e-6)
    np.testing.assert_allclose(
        stock["affine"], np.diag([-0.6, -0.8, 2.5, 1]) + np.array([[10, 20, 30, 0]]).T * [0, 0, 0, 1]
    )
