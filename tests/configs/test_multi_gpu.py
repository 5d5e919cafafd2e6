import json
import subprocess
import sys

import numpy as np
import torch

from tests.configs.conftest import CONFIGS, run_config
from tests.configs.test_train import TINY, overrides, pairs  # noqa: F401 - the fixture
from tests.scans import blobs, write_nifti


def test_two_ranks_train_what_one_process_trains(foreign_directory, pairs):  # noqa: F811
    """Two processes with two samples of each task learn what one learns from four, but for the order of sums."""
    two = overrides(pairs, foreign_directory / "two", network_def=TINY, n_per_task=2)
    del two["device"]
    (foreign_directory / "overlay.json").write_text(json.dumps(two))
    files = [
        str(CONFIGS / "train.json"),
        str(CONFIGS / "multi_gpu_train.json"),
        str(foreign_directory / "overlay.json"),
    ]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "monai.bundle", "run", "--config_file", str(files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr[-3000:]

    run_config(
        "train.json",
        workflow_type="train",
        **overrides(pairs, foreign_directory / "one", network_def=TINY, n_per_task=4),
    )
    states = [
        torch.load(foreign_directory / name / "weights" / "checkpoint.pt", weights_only=True) for name in ("one", "two")
    ]
    one, two_ranks = (state["objects"]["network"] for state in states)
    assert one.keys() == two_ranks.keys()
    # AdamW makes steps of up to 2e-4 even of gradients as small as their rounding.
    for name in one:
        torch.testing.assert_close(two_ranks[name], one[name], rtol=1e-3, atol=5e-5, msg=name)
    # Every volume is validated once, whichever rank has it.
    assert abs(states[0]["best_metric"] - states[1]["best_metric"]) < 0.01


def test_two_ranks_restore_what_one_process_restores(foreign_directory, weights):
    for index, side in enumerate((16, 40, 24, 32)):
        write_nifti(foreign_directory / "in" / f"{index}.nii.gz", blobs((side, 21, 3), -900, 900))
    volume = blobs((16, 16, 3), -900, 900)
    volume[3, 3, 1] = np.nan
    write_nifti(foreign_directory / "in" / "bad.nii.gz", volume)
    options = {"dataset_dir": str(foreign_directory / "in"), "ckpt_path": str(weights), "modality": "CT"}

    files = [str(CONFIGS / name) for name in ("inference.json", "multi_gpu_inference.json")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "monai.bundle", "run", "--config_file", str(files), "--output_dir", "two"]
    for name, value in options.items():
        command += [f"--{name}", value]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode != 0
    assert done.stderr.count("refused: 1 case failed (bad)") == 1
    # One of the two prints the table of both.
    assert done.stdout.count("case  modality") == 1
    assert "4 restored" in done.stdout

    (foreign_directory / "in" / "bad.nii.gz").unlink()
    run_config("inference.json", output_dir="one", device="cpu", **{"inferer#progress": False}, **options)
    names = ["0", "1", "2", "3"]
    written = [sorted(path.name for path in (foreign_directory / folder).iterdir()) for folder in ("one", "two")]
    assert written == [[*names, "report.html", "report.json"]] * 2
    for name in names:
        one, two = (foreign_directory / folder / name / f"{name}_restored.nii.gz" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), name
