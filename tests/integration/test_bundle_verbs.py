"""The verbs of monai.bundle on the downloaded zip, from a foreign directory: on the path only, and installed by pip."""

import functools
import hashlib
import http.server
import importlib.metadata
import importlib.util
import json
import os
import site
import subprocess
import sys
import threading
import venv
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import load_net_with_metadata

from bundle.tat.version import VERSION
from tests.package.test_zoo import SCHEMA
from tests.release import NAME, ROOT, build_package, commit_bundle
from tests.scans import blobs, write_nifti

pytestmark = pytest.mark.integration

WAYS = ("on the path", "installed")


def python_of(environment: Path) -> Path:
    return environment / ("Scripts" if os.name == "nt" else "bin") / "python"


def make_environment(folder: Path) -> Path:
    """Python of an environment with the packages of this one, but without this bundle, however it is installed here."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    packages = next(folder.rglob("site-packages"))
    # A path in a .pth file is put on sys.path, but the .pth files in it, editable installs among them, are not read.
    (packages / "others.pth").write_text("".join(f"{path}\n" for path in site.getsitepackages()))
    return python_of(folder)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("verbs")


@pytest.fixture(scope="module")
def bare_python(work) -> Path:
    python = make_environment(work / "bare")
    program = "import importlib.util; raise SystemExit(importlib.util.find_spec('bundle') is not None)"
    subprocess.run([python, "-c", program], cwd=work, env=environment(), check=True)  # noqa: S603
    return python


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "PYTHONWARNINGS": "default", **more}


@pytest.fixture(scope="module")
def release(work) -> Path:
    return build_package(commit_bundle(work / "repository"))


@pytest.fixture(scope="module")
def hub(work, release, bare_python) -> Path:
    """The folder that ``monai.bundle download`` unpacks the zip into, from a server on this machine."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=release)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{NAME}.zip"
        command = [bare_python, "-m", "monai.bundle", "download", "--name", NAME, "--url", url]
        command += ["--bundle_dir", work / "hub"]
        done = subprocess.run(command, cwd=work, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603
        server.shutdown()
    assert done.returncode == 0, done.stderr
    return work / "hub"


@pytest.fixture(scope="module")
def installed_python(work, hub) -> Path:
    python = make_environment(work / "installed")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    # With a recent enough setuptools here nothing is fetched; without one pip needs its index.
    if importlib.util.find_spec("setuptools") and int(importlib.metadata.version("setuptools").split(".")[0]) >= 77:
        command.append("--no-build-isolation")
    done = subprocess.run([*command, str(hub / NAME)], cwd=work, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(params=WAYS, ids=[way.replace(" ", "-") for way in WAYS])
def call(request, work, hub, tmp_path):
    """Run Python in an empty folder; the bundle's code comes from the unpacked zip or from the environment."""
    if request.param == "installed":
        python, variables = request.getfixturevalue("installed_python"), environment()
    else:
        python, variables = request.getfixturevalue("bare_python"), environment(PYTHONPATH=str(hub / NAME))
    folder = tmp_path / "somewhere else"
    folder.mkdir()

    def run(*arguments: object, fails: bool = False) -> str:
        command = [str(python), *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)  # noqa: S603
        assert bool(done.returncode) is fails, done.stderr
        return done.stdout + done.stderr

    run.folder = folder
    run.code = work / "installed" if request.param == "installed" else hub / NAME
    return run


@pytest.fixture
def configs(hub) -> Path:
    return hub / NAME / "configs"


@pytest.fixture
def network_of_repository():
    parser = ConfigParser()
    parser.read_config(str(ROOT / "configs" / "inference.json"))
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(ROOT / "models" / "model.pt", weights_only=True))
    return network


@pytest.fixture
def image() -> torch.Tensor:
    return torch.from_numpy(blobs((2, 1, 64, 48), 0, 1))


def restored(network, image) -> torch.Tensor:
    with torch.inference_mode():
        return network(image)


def test_downloaded_zip_has_the_checksum_and_the_content(release, hub):
    sums = dict(reversed(line.split("  ")) for line in (release / "SHA256SUMS").read_text().splitlines())
    assert hashlib.sha256((hub / f"{NAME}.zip").read_bytes()).hexdigest() == sums[f"{NAME}.zip"]
    unpacked = {path.relative_to(hub / NAME): path for path in (hub / NAME).rglob("*") if path.is_file()}
    made_by_install = {"build", f"{NAME}.egg-info"}
    for name, path in unpacked.items():
        if name.parts[0] not in made_by_install and path.suffix != ".pyc":
            assert path.read_bytes() == (ROOT / name).read_bytes(), name
    assert len(unpacked) > 100


def test_loaded_network_restores_like_that_of_the_repository(call, hub, network_of_repository, image):
    torch.save(image, call.folder / "image.pt")
    program = f"""
import monai.bundle, torch
network = monai.bundle.load({NAME!r}, bundle_dir={str(hub)!r}, workflow_type="inference", device="cpu").eval()
import bundle.tat
print("CODE", bundle.tat.__file__)
with torch.inference_mode():
    torch.save(network(torch.load("image.pt")), "restored.pt")
"""
    told = call("-c", program)
    code = next(line.removeprefix("CODE ") for line in told.splitlines() if line.startswith("CODE "))
    assert Path(code).resolve().is_relative_to(call.code.resolve())
    assert torch.equal(torch.load(call.folder / "restored.pt"), restored(network_of_repository, image))


def test_network_of_another_config_is_refused(call, hub):
    """Without a workflow type MONAI takes train.json, whose network the shipped weights do not fit."""
    program = f"import monai.bundle; monai.bundle.load({NAME!r}, bundle_dir={str(hub)!r}, device='cpu')"
    assert "of TAT would stay as they are" in call("-c", program, fails=True)


def inference(verb: str, config: Path, scan: Path, out: Path) -> list[object]:
    options = {"config_file": config, "dataset_dir": scan, "output_dir": out, "modality": "CT", "device": "cpu"}
    return ["-m", "monai.bundle", verb, *(text for name, value in options.items() for text in (f"--{name}", value))]


@pytest.fixture(scope="module")
def result_of_repository(work) -> tuple[Path, Path]:
    """A scan, and what the repository makes of it."""
    scan = write_nifti(work / "scan.nii.gz", blobs((43, 34, 3), -1000, 1000))
    command = [sys.executable, *map(str, inference("run", ROOT / "configs" / "inference.json", scan, work / "here"))]
    subprocess.run(command, cwd=work, check=True, capture_output=True)  # noqa: S603
    return scan, work / "here"


@pytest.mark.parametrize("verb", ["run", "run_workflow"])
def test_inference_writes_the_file_that_the_repository_writes(call, configs, result_of_repository, verb):
    scan, here = result_of_repository
    call(*inference(verb, configs / "inference.json", scan, call.folder / "OUT"))
    one, other = (nibabel.load(out / "scan" / "scan_restored.nii.gz") for out in (call.folder / "OUT", here))
    np.testing.assert_array_equal(one.get_fdata(), other.get_fdata())
    np.testing.assert_array_equal(one.affine, other.affine)
    assert np.abs(one.get_fdata() - nibabel.load(scan).get_fdata()).max() > 1


def test_metadata_is_verified_offline(call, configs):
    (call.folder / "schema.json").write_bytes(SCHEMA.read_bytes())
    told = call(
        *("-m", "monai.bundle", "verify_metadata", "--meta_file", configs / "metadata.json"),
        *("--filepath", "schema.json"),
    )
    assert "metadata is verified with no error" in told


def test_input_and_output_of_the_network_are_verified(call, configs):
    told = call(
        *("-m", "monai.bundle", "verify_net_in_out", "network_def", "--meta_file", configs / "metadata.json"),
        *("--config_file", configs / "inference.json", "--n", 3),
    )
    assert "data shape of network is verified with no error" in told


def test_weights_are_exported_to_torchscript(call, configs, network_of_repository, image):
    call(
        *("-m", "monai.bundle", "ckpt_export", "network_def", "--config_file", configs / "inference.json"),
        *("--bundle_root", configs.parent, "--filepath", "model.ts"),
    )
    scripted, metadata, extra = load_net_with_metadata(call.folder / "model.ts", more_extra_files=("inference.json",))
    assert metadata["version"] == VERSION
    assert json.loads(extra["inference.json"]) == json.loads((configs / "inference.json").read_text())
    torch.testing.assert_close(restored(scripted, image), restored(network_of_repository, image), rtol=0, atol=1e-6)


def test_weights_are_exported_to_onnx(call, configs, network_of_repository, image):
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed: the extra `export` brings it")
    import onnxruntime

    call(
        *("-m", "monai.bundle", "onnx_export", "network_def", "--config_file", configs / "inference.json"),
        *("--ckpt_file", configs.parent / "models" / "model.pt", "--filepath", "model.onnx"),
        *("--input_shape", json.dumps(list(image.shape))),
    )
    session = onnxruntime.InferenceSession(call.folder / "model.onnx", providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    np.testing.assert_allclose(result, restored(network_of_repository, image).numpy(), atol=1e-5)


def test_two_bundles_live_in_one_process_in_either_order(bare_python, hub, tmp_path):
    code = tmp_path / "other" / "bundle" / "other"
    code.mkdir(parents=True)
    (code / "__init__.py").write_text("HERE = __file__\n")
    for roots in ([hub / NAME, tmp_path / "other"], [tmp_path / "other", hub / NAME]):
        program = "import bundle.other, bundle.tat; from bundle.tat.networks import TAT; print(bundle.other.HERE)"
        variables = environment(PYTHONPATH=os.pathsep.join(map(str, roots)))
        command = [bare_python, "-c", program]
        done = subprocess.run(command, cwd=tmp_path, env=variables, check=True, capture_output=True)  # noqa: S603
        assert Path(done.stdout.decode().strip()) == code / "__init__.py"
