"""MONAI Label's own server, in its own environment: its answers are what the bundle's command line writes.

Also against Orthanc over DICOMweb, in a network namespace as in ``test_pacs.py``. Debian:
``apt-get install orthanc orthanc-dicomweb dcmtk curl iproute2``.
"""

import gzip
import json
import shutil
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread

from bundle.tat.dicom.suv.factor import suv_factor
from bundle.tat.transforms.load import LoadScand
from tests.integration.label_server import (
    ENVIRONMENT,
    FILES,
    MODEL,
    PYTHON,
    SERIES,
    START,
    Server,
    make_app,
    serve,
    write_series,
    write_studies,
)
from tests.integration.test_pacs import IN_A_NAMESPACE, START_ORTHANC, why_not
from tests.test_layout import ROOT

DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not (PYTHON.parents[1] / ".ready").is_file(), reason="no MONAI Label: run make setup-label"),
]

Results = dict[str, nibabel.Nifti1Image]


def image_of(answer: bytes) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(answer))


def run_bundle(python: object, scans: Path, out: Path, *, weights: Path) -> Results:
    """The bundle's own command line; results by the name of the scan."""
    config = ROOT / "configs" / "inference.json"
    command = [python, "-m", "monai.bundle", "run", "--config_file", config, "--dataset_dir", scans]
    command = list(map(str, [*command, "--output_dir", out, "--ckpt_path", weights, "--nifti", True]))
    done = subprocess.run(command, cwd=scans.parent, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.parent.name: nibabel.load(path) for path in out.glob("*/*_restored.nii.gz")}


def assert_same(one: nibabel.Nifti1Image, other: nibabel.Nifti1Image) -> None:
    """Same numbers to the last bit, in float32, in the same place."""
    assert one.get_data_dtype() == other.get_data_dtype() == np.float32
    np.testing.assert_array_equal(one.get_fdata(), other.get_fdata())
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-5)


def assert_same_in_suv(answer: nibabel.Nifti1Image, on_disk: nibabel.Nifti1Image, series: Path) -> None:
    """The server answers in SUV; the file beside the derived series is in the unit of the series."""
    factor = suv_factor(dcmread(next(series.glob("*.dcm"))))
    assert factor != 1.0
    np.testing.assert_allclose(answer.get_fdata(), factor * on_disk.get_fdata(), rtol=1e-5)
    np.testing.assert_allclose(answer.affine, on_disk.affine, atol=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Studies for the server, DICOM series beside them, and a list of all of them for the command line."""
    folder = tmp_path_factory.mktemp("label")
    write_studies(folder / "studies")
    write_series(folder)
    files = [{"image": f"studies/{name}.nii.gz", "modality": modality} for name, (modality, _) in FILES.items()]
    series = [{"image": name} for name in SERIES]
    (folder / "scans.json").write_text(json.dumps({"testing": files + series}))
    return folder


@pytest.fixture(scope="module")
def app(folder) -> Path:
    return make_app(folder / "app")


@pytest.fixture(scope="module")
def server(app, folder, record_testsuite_property) -> Iterator[Server]:
    with serve(app, folder / "studies") as server:
        version = server.get("/info/")["version"]
        print(f"program: MONAI Label {version}")  # noqa: T201 - pytest -rP shows it
        record_testsuite_property("MONAI Label", version)
        yield server


@pytest.fixture(scope="module")
def written(folder) -> Results:
    """What the command line writes with MONAI Label's packages."""
    return run_bundle(PYTHON, folder / "scans.json", folder / "written", weights=ROOT / "models" / "model.pt")


def test_it_shows_the_model_and_what_a_request_may_say(server):
    info = server.get("/info/")
    config = info["models"][MODEL]["config"]
    assert (config["modality"], config["result_extension"]) == ("", ".nii.gz")
    assert {"modality", "epoch_length", "max_epochs"} <= info["trainers"][MODEL]["config"].keys()


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_restored_as_on_the_command_line(server, written, name):
    modality, _ = FILES[name]
    assert_same(image_of(server.infer(name, modality=modality)), written[name])


@pytest.mark.parametrize("name", SERIES)
def test_a_dicom_series_is_restored_as_on_the_command_line(server, written, folder, name):
    """It tells its modality, and PET its SUV; the answer is NIfTI."""
    answer = image_of(server.infer(folder / name))
    if name == "pet_series":
        assert_same_in_suv(answer, written[name], folder / name)
    else:
        assert_same(answer, written[name])


def test_the_projects_own_packages_give_the_same(written, folder):
    weights = ROOT / "models" / "model.pt"
    ours = run_bundle(sys.executable, folder / "scans.json", folder / "ours", weights=weights)
    assert ours.keys() == written.keys() == {*FILES, *SERIES}
    for name, image in ours.items():
        width = np.ptp(image.get_fdata())
        np.testing.assert_allclose(image.get_fdata(), written[name].get_fdata(), rtol=0, atol=1e-5 * width)


def test_the_number_format_of_labels_is_not_taken(server):
    """3D Slicer and OHIF ask for one byte a voxel, which would wrap Hounsfield units."""
    asked = image_of(server.infer("ct", modality="CT", result_dtype="uint8"))
    assert_same(asked, image_of(server.infer("ct", modality="CT")))


def test_an_answer_may_be_nrrd(server, tmp_path):
    (tmp_path / "x.nrrd").write_bytes(server.infer("ct", modality="CT", result_extension=".nrrd"))
    image = LoadScand("image")({"image": str(tmp_path / "x.nrrd")})["image"]
    same = image_of(server.infer("ct", modality="CT"))
    np.testing.assert_array_equal(image[0].numpy(), same.get_fdata())
    np.testing.assert_allclose(image.affine.numpy(), same.affine, atol=1e-4)


def test_a_scan_of_unknown_modality_is_refused(server):
    with pytest.raises(urllib.error.HTTPError):
        server.infer("ct")
    assert server.has_said("nothing tells the modality of this scan")


def test_nothing_is_written_but_the_answer(server):
    server.infer("ct", modality="CT")
    assert not (server.bundle / "eval").exists()


def test_a_batch_is_stored_beside_the_labels(server):
    server.post(f"/batch/infer/{MODEL}?images=unlabeled", modality="MRI", label_tag="restored", multi_gpu=False)
    server.wait("batch/infer")
    stored = {path.name.removesuffix(".nii.gz"): path for path in (server.studies / "labels" / "restored").iterdir()}
    assert stored.keys() == FILES.keys()
    assert_same(nibabel.load(stored["mri"]), image_of(server.infer("mri", modality="MRI")))


def test_what_was_trained_is_used_at_once(server, folder):
    weights = server.bundle / "models" / "model.pt"
    shipped = weights.read_bytes()
    before = image_of(server.infer("ct", modality="CT"))
    try:
        server.post(f"/train/{MODEL}", max_epochs=2, val_split=0.34, modality="CT", epoch_length=2)
        server.wait("train/")
        after = image_of(server.infer("ct", modality="CT"))
        written = run_bundle(PYTHON, folder / "scans.json", folder / "trained", weights=weights)
    finally:
        weights.write_bytes(shipped)
    assert_same(after, written["ct"])
    assert np.abs(after.get_fdata() - before.get_fdata()).max() > 0.1
    assert_same(image_of(server.infer("ct", modality="CT")), before)


def test_training_on_images_of_unknown_modality_is_refused(server):
    server.post(f"/train/{MODEL}", max_epochs=2, val_split=0.34, modality="", epoch_length=2)
    with pytest.raises(AssertionError, match="neither list nor file names its modality"):
        server.wait("train/")


SCRIPT = (
    START_ORTHANC
    + """
storescu -aec ORTHANC +sd +r 127.0.0.1 4242 {series}
PATH="{dcmqi}:$PATH" {server} > label.log 2>&1 &
for attempt in $(seq 300); do curl --silent --output /dev/null {url}/info/ && break; sleep 1; done
curl --fail --data params={} --output answer.nii.gz "{url}/infer/{model}?image=1.2.826.0.3&output=image"
"""
)


def test_a_series_of_an_archive_is_restored_as_from_a_folder(tmp_path, folder, app, written):
    reason = why_not() or ("" if shutil.which("curl") else "curl not installed: apt-get install curl")
    if reason or not DICOMWEB.is_file():
        pytest.skip(reason or f"{DICOMWEB} is missing: apt-get install orthanc-dicomweb")
    folders = {"StorageDirectory": "database", "IndexDirectory": "database"}
    access = {"AuthenticationEnabled": False, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    (tmp_path / "orthanc.json").write_text(json.dumps({**folders, **access, "Plugins": [str(DICOMWEB)]}))
    words = (PYTHON, *START, "--app", app, "--studies", "http://127.0.0.1:8042/dicom-web", "--host", "127.0.0.1")
    script = SCRIPT.replace("{server}", " ".join(map(str, words))).replace("{series}", str(folder / "pet_series"))
    script = script.replace("{url}", "http://127.0.0.1:8000").replace("{model}", MODEL)
    script = script.replace("{dcmqi}", str(PYTHON.parent))
    environment = {
        **ENVIRONMENT,
        "MONAI_LABEL_DICOMWEB_CONVERT_TO_NIFTI": "false",  # what makes SUV would be lost
        "MONAI_LABEL_DICOMWEB_SEARCH_FILTER": json.dumps({"Modality": "PT"}),
        "MONAI_LABEL_DICOMWEB_CACHE_PATH": str(tmp_path / "cache"),
    }
    done = subprocess.run(  # noqa: S603
        [*IN_A_NAMESPACE, "bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    answer = image_of((tmp_path / "answer.nii.gz").read_bytes())
    assert_same_in_suv(answer, written["pet_series"], folder / "pet_series")
