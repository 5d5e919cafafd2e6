"""Runs as large, as long and as unlucky as those of a study."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

from bundle.tat.cases.record import read_record
from tests.enhanced_sources import write_enhanced
from tests.scans import blobs, write_dicom_series, write_nifti
from tests.test_layout import ROOT

pytestmark = pytest.mark.slow

CONFIG = str(ROOT / "configs" / "inference.json")
OVERLAY = str(ROOT / "configs" / "multi_gpu_inference.json")

# Memory of a run in volumes of float32: the result is made in the place of the scan. What a NIfTI file stores, half as
# much, is read at once.
MAX_VOLUMES, MAX_VOLUMES_OF_NIFTI = 1.5, 2.0

# Not by getrusage: its peak begins with that of the process that started this one. The small scan, restored first,
# brings in the libraries, which are there for a scan of any size.
PEAK = """
import json, sys
from monai.bundle import run

def memory(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

small, large = json.loads(sys.argv[1])
run(**small)
before = memory("VmRSS")
run(**large)
print("KIBIBYTES", memory("VmHWM") - before)
"""

SLOW_NETWORK = """
import time, torch

class SlowNetwork(torch.nn.Module):
    def forward(self, slices):
        time.sleep(0.05)
        return slices
"""


def nifti(folder, n_slices):
    """Slices as a scanner stores them; MRI, since its scale is found in all of its voxels."""
    slices = np.round(blobs((512, 512), 0, 900)).astype(np.int16)
    volume = np.broadcast_to(slices[..., None], (512, 512, n_slices)) + np.arange(n_slices, dtype=np.int16)
    return write_nifti(folder / "scan.nii", volume), {"modality": "MRI", "any_resolution": True}


def dicom(folder, n_slices):
    """Files in folders of 100, which the names of the test series are enough for."""
    image = np.round(blobs((100, 512, 512), -900, 900)).astype(np.int16)
    for hundred in range(0, n_slices, 100):
        write_dicom_series(
            folder / "series" / f"{hundred:04d}",
            image[: n_slices - hundred],
            step=(0, 0, 1.0),
            origin=(0.0, 0.0, float(hundred)),
            series_uid=f"1.2.{hundred}",  # from which those of the images are made
            SeriesInstanceUID="1.2.3",
        )
    return folder / "series", {}


def enhanced(folder, n_slices):
    """One file of frames of 256 x 256 pixels."""
    image = np.round(blobs((256, 256), 124, 1924)).astype(np.int16)  # the frames have an intercept of -1024 HU
    (path,) = write_enhanced(folder / "series", np.broadcast_to(image, (n_slices, 256, 256)), "CT")
    return path, {}


@pytest.mark.parametrize(
    ("write", "n_slices", "side", "max_volumes"),
    [(nifti, 1000, 512, MAX_VOLUMES_OF_NIFTI), (dicom, 1000, 512, MAX_VOLUMES), (enhanced, 2000, 256, MAX_VOLUMES)],
    ids=["NIfTI", "DICOM", "one file of frames"],
)
def test_memory_for_thousands_of_slices(tmp_path, write, n_slices, side, max_volumes):
    runs = []
    for size in (4, n_slices):
        folder = tmp_path / str(size)
        path, options = write(folder, size)
        options |= {"config_file": CONFIG, "dataset_dir": str(path), "output_dir": str(folder / "out")}
        runs.append({**options, "device": "cpu", "network_def": {"_target_": "torch.nn.Identity"}, "handlers": []})
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PEAK, json.dumps(runs)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{n_slices}/{n_slices}" in done.stderr
    volumes = int(done.stdout.split()[-1]) * 2**10 / (4 * side**2 * n_slices)
    print(f"peak memory: {volumes:.2f} volumes in float32")  # noqa: T201 - what the test is run to see
    assert volumes < max_volumes


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Twelve scans, a network that takes half a second for each, and the command that restores them."""
    for index in range(12):
        write_nifti(tmp_path / "in" / f"{index:02d}.nii.gz", blobs((24, 16, 40), -900, 900, seed=index))
    (tmp_path / "slow_network.py").write_text(SLOW_NETWORK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*launcher: str, overlay: bool = False) -> list[str]:
    """The inference command over the study."""
    files = str([CONFIG, OVERLAY]) if overlay else CONFIG
    options = {"dataset_dir": "in", "output_dir": "out", "modality": "CT", "handlers": "[]"}
    options["network_def"] = "{'_target_':'slow_network.SlowNetwork'}"
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [sys.executable, *launcher, "-m", "monai.bundle", "run", "--config_file", files, *words]


def torchrun(*options: str) -> list[str]:
    return command("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *options, overlay=True)


def finished(folder: Path) -> dict[str, int]:
    """Cases in an output folder whose record says of which scan they are, with the time that each was written."""
    records = [read_record(case) for case in folder.glob("[!.]*")]
    cases = [record.case for record in records if record is not None and "fingerprint" in record.settings]
    return {case: (folder / case / f"{case}_restored.nii.gz").stat().st_mtime_ns for case in cases}


def assert_whole(study: Path) -> None:
    """Every case under its name in the output folder is complete."""
    for name in (case.name for case in (study / "out").glob("[!.]*") if case.is_dir()):
        volume = nibabel.load(study / "in" / f"{name}.nii.gz").get_fdata()
        restored = nibabel.load(study / "out" / name / f"{name}_restored.nii.gz").get_fdata()
        np.testing.assert_allclose(restored, volume, atol=1e-2)
        assert read_record(study / "out" / name) is not None


def kill_a_worker(launcher: subprocess.Popen, study: Path) -> int:
    """Kill a process of a running job without warning, when some cases are finished, and return how many are."""
    while launcher.poll() is None and len(finished(study / "out")) < 3:
        time.sleep(0.05)
    assert launcher.poll() is None, "the run was over too soon"
    workers = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    os.kill(int(workers[-1]) if workers else launcher.pid, signal.SIGKILL)
    return len(finished(study / "out"))


@pytest.mark.parametrize("start", [command, torchrun], ids=["one process", "one of two ranks"])
def test_what_a_killed_run_left_over_the_next_one_does(study, start):
    with subprocess.Popen(start(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:  # noqa: S603
        kill_a_worker(first, study)
    assert first.returncode != 0
    before = finished(study / "out")
    assert 3 <= len(before) < 12
    assert_whole(study)

    second = subprocess.run(start(), capture_output=True, text=True, check=False)  # noqa: S603
    assert second.returncode == 0, second.stderr[-3000:]
    assert f"{len(before)} skipped" in second.stdout
    after = finished(study / "out")
    assert len(after) == 12
    assert not list((study / "out").rglob(".*"))
    assert before.items() <= after.items()
    assert_whole(study)


def test_ranks_that_are_started_again_go_on_by_themselves(study):
    with subprocess.Popen(  # noqa: S603
        torchrun("--max-restarts", "2"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as launcher:
        n_before = kill_a_worker(launcher, study)
        table, _ = launcher.communicate()
    assert launcher.returncode == 0
    assert f"{n_before} skipped" in table or f"{n_before + 1} skipped" in table
    assert len(finished(study / "out")) == 12
    assert_whole(study)


def test_two_processes_on_one_output(study):
    runs = [
        subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(2)
    ]
    tables = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], tables
    assert len(finished(study / "out")) == 12
    assert_whole(study)


def test_a_disk_that_fills_up(study):
    """The largest file that may be written stands for what is left of the disk."""

    def limit():
        size = (study / "in" / "00.nii.gz").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    full = subprocess.run(command(), preexec_fn=limit, capture_output=True, text=True, check=False)  # noqa: S603
    assert full.returncode == 1
    assert "File too large" in full.stdout
    assert not finished(study / "out")
    assert subprocess.run(command(), capture_output=True, check=False).returncode == 0  # noqa: S603
    assert len(finished(study / "out")) == 12
