"""MONAI Label's server on the app that scripts/hosts/label_app.py makes, and the studies that tests have it work on."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.dicom_sources import write_source
from tests.scans import blobs, write_nifti
from tests.test_layout import ROOT

PYTHON = ROOT / ".venv-label" / "bin" / "python"
MODEL = "tat_medical_image_restoration"
START = ("-m", "monailabel.main", "start_server", "--conf", "models", MODEL, "--conf", "zoo_source", "ngc")
# One at a time, since requests with different parameters change the one parsed config that they share.
ENVIRONMENT = {**os.environ, "MONAI_LABEL_INFER_CONCURRENCY": "1"}

SECONDS_TO_LOG = 10

# Modality, and the intensities that a scan spans; of a DICOM series the stored values.
FILES = {"ct": ("CT", (-1000, 1500)), "mri": ("MRI", (0, 1500)), "pet": ("PET", (0, 12))}
SERIES = {"ct_series": ("CT", (0, 2500)), "mr_series": ("MR", (0, 1500)), "pet_series": ("PT", (0, 12000))}
PAIRS = ("pair_1", "pair_2", "pair_3")


class Server(NamedTuple):
    """A running server, and where it keeps things."""

    url: str
    studies: Path
    bundle: Path
    log: Path

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}{path}") as answer:  # noqa: S310 - our own server
            return json.load(answer)

    def post(self, path: str, **parameters: object) -> None:
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(parameters).encode())  # noqa: S310
        request.add_header("Content-Type", "application/json")
        urllib.request.urlopen(request).close()  # noqa: S310

    def infer(self, image: object, **parameters: object) -> bytes:
        query = urllib.parse.urlencode({"image": image, "output": "image"})
        body = urllib.parse.urlencode({"params": json.dumps(parameters)}).encode()
        with urllib.request.urlopen(f"{self.url}/infer/{MODEL}?{query}", body) as answer:  # noqa: S310
            return answer.read()

    def wait(self, task: str) -> None:
        """Wait for a task in the background, which must not fail."""
        while (status := self.get(f"/{task}"))["status"] in {"SUBMITTED", "RUNNING"}:
            time.sleep(1)
        assert status["status"] == "DONE", "\n".join(status["details"])

    def has_said(self, text: str) -> bool:
        """Whether the log has a text; it answers first and logs a failure then."""
        end = time.monotonic() + SECONDS_TO_LOG
        while text not in self.log.read_text() and time.monotonic() < end:
            time.sleep(0.1)
        return text in self.log.read_text()


def make_app(folder: Path) -> Path:
    script = ROOT / "scripts" / "hosts" / "label_app.py"
    subprocess.run([PYTHON, script, "--out", folder], check=True, capture_output=True)  # noqa: S603
    return folder


@contextmanager
def serve(app: Path, studies: Path) -> Iterator[Server]:
    """A server on a free port of this machine, that answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PYTHON, *START, "--app", app, "--studies", studies, "--host", "127.0.0.1", "--port", str(port)]
    server = Server(f"http://127.0.0.1:{port}", studies, app / "model" / MODEL, app / "server.log")
    with server.log.open("w") as log:
        process = subprocess.Popen(command, cwd=app, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        wait_for(server, process)
        yield server
    finally:
        process.terminate()
        process.wait()


def wait_for(server: Server, process: subprocess.Popen) -> None:
    """Wait until the server answers; fail when it has ended."""
    while True:
        try:
            server.get("/info/")
        except urllib.error.URLError:
            assert process.poll() is None, server.log.read_text()
            time.sleep(0.5)
        else:
            return


def write_studies(folder: Path) -> None:
    """Scans, and pairs of a degraded and a clean one where MONAI Label keeps images and labels."""
    for name, (_, (low, high)) in FILES.items():
        write_nifti(folder / f"{name}.nii.gz", blobs((41, 35, 3), low, high))
    for seed, name in enumerate(PAIRS):
        clean = blobs((72, 70, 3), -1000, 1000, seed)
        noise = np.random.default_rng(seed).normal(0, 50, clean.shape).astype(np.float32)
        write_nifti(folder / f"{name}.nii.gz", clean + noise)
        write_nifti(folder / "labels" / "final" / f"{name}.nii.gz", clean)


def write_series(folder: Path) -> None:
    """A DICOM series of each modality, each in a folder of its name."""
    for name, (modality, (low, high)) in SERIES.items():
        stored = np.round(blobs((4, 36, 44), low, high)).astype(np.int16 if modality == "PT" else np.uint16)
        write_source(folder / name, stored, modality)
