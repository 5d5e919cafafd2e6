"""Training that is killed and started again ends where uninterrupted training ends, to the bit."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nibabel
import numpy as np
import pytest
import torch

from bundle.tat.cases.refusals import find_refusal
from bundle.tat.networks import TAT
from tests.configs.conftest import CONFIGS, run_config
from tests.configs.test_train import TINY, overrides, pairs  # noqa: F401 - the fixture

N_EPOCHS = 4
MUON = {"optimizer#_target_": "bundle.tat.engines.MuonWithAdamW"}
NEEDS_MUON = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch before 2.9 has no Muon")


def digest(path) -> str:
    state_dict = torch.load(path, weights_only=True)
    return hashlib.sha256(b"".join(value.numpy().tobytes() for _, value in sorted(state_dict.items()))).hexdigest()


def train(pairs, folder, **more):  # noqa: F811
    changes = overrides(pairs, folder, network_def=TINY, epochs=N_EPOCHS, **more)
    return run_config("train.json", workflow_type="train", **changes)


@pytest.mark.parametrize("more", [{}, pytest.param(MUON, marks=NEEDS_MUON)], ids=["AdamW", "Muon"])
def test_training_killed_by_the_system_resumes_to_the_bit(foreign_directory, pairs, more):  # noqa: F811
    whole = train(pairs, foreign_directory / "whole", **more).parser.get_parsed_content("network")

    changes = overrides(pairs, foreign_directory / "killed", network_def=TINY, epochs=N_EPOCHS, **more)
    program = (
        "from monai.bundle import run\n"
        f"run(config_file={str(CONFIGS / 'train.json')!r}, logging_file=False, **{changes!r})\n"
    )
    checkpoint = foreign_directory / "killed" / "weights" / "checkpoint.pt"
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)  # noqa: S603
    deadline = time.monotonic() + 120
    while not checkpoint.is_file() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    epoch = torch.load(checkpoint, weights_only=True)["epoch"]
    assert 1 <= epoch < N_EPOCHS, "the process was not killed in the middle of training"

    resumed = train(pairs, foreign_directory / "killed", **more).parser.get_parsed_content("network")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert digest(foreign_directory / "whole/weights/model.pt") == digest(foreign_directory / "killed/weights/model.pt")


def test_more_loader_processes_draw_the_same(foreign_directory, pairs):  # noqa: F811
    for name, n_workers in (("none", 0), ("two", 2)):
        train(pairs, foreign_directory / name, num_workers=n_workers)
    assert digest(foreign_directory / "none/weights/model.pt") == digest(foreign_directory / "two/weights/model.pt")


def test_a_finished_training_does_not_start_anew_and_says_so(foreign_directory, pairs, caplog):  # noqa: F811
    train(pairs, foreign_directory)
    before = digest(foreign_directory / "weights" / "model.pt")
    assert "nothing left" not in caplog.text
    train(pairs, foreign_directory)
    assert digest(foreign_directory / "weights" / "model.pt") == before
    said = [record.getMessage() for record in caplog.records if "nothing left" in record.getMessage()]
    assert len(said) == 1
    assert "checkpoint.pt has all of its 4 epochs; for a new training pass another --ckpt_dir" in said[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network_def": {**TINY, "dim": 6}}, "of another training"),
        ({"epoch_length": 2}, "epoch_length 3, not 2"),
        ({"epochs": N_EPOCHS + 1}, "epochs 4, not 5"),
        ({"learning_rate": 1e-5}, "learning_rate 0.0002, not 1e-05: pass the first values"),
        ({"tasks": ["PET", "CT"]}, "tasks None, not ['CT', 'PET']"),
        ({"seed": 7, "mri_scale": "percentile"}, "mri_scale fixed, not percentile; seed 0, not 7"),
        ({"flip_prob": 0.5}, "flip_prob 0.0, not 0.5"),
        pytest.param(MUON, "optimizer AdamW, not MuonWithAdamW", marks=NEEDS_MUON),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(foreign_directory, pairs, change, message):  # noqa: F811
    train(pairs, foreign_directory)
    with pytest.raises(RuntimeError) as caught:
        run_config(
            "train.json",
            workflow_type="train",
            **{**overrides(pairs, foreign_directory, network_def=TINY, epochs=N_EPOCHS), **change},
        )
    assert message in str(find_refusal(caught.value))


def test_a_checkpoint_of_other_data_is_refused(foreign_directory, pairs):  # noqa: F811
    """Files of the same names, of which one holds other voxels."""
    train(pairs, foreign_directory)
    path = pairs / "0_label.nii.gz"
    scan = nibabel.load(path)
    values = scan.get_fdata(dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(values[::-1], scan.affine), path)
    before = digest(foreign_directory / "weights" / "model.pt")
    with pytest.raises(RuntimeError) as caught:
        train(pairs, foreign_directory)
    said = str(find_refusal(caught.value))
    assert re.search(r"trained with data 4 items \(\w{12}\), not 4 items \(\w{12}\): pass the first values", said)
    assert "another --ckpt_dir" in said
    assert digest(foreign_directory / "weights" / "model.pt") == before


def test_a_checkpoint_of_other_starting_weights_is_refused(foreign_directory, pairs):  # noqa: F811
    for seed in (1, 2):
        torch.manual_seed(seed)
        network = TAT(**{name: value for name, value in TINY.items() if name != "_target_"})
        torch.save(network.state_dict(), f"{seed}.pt")
    train(pairs, foreign_directory, pretrained="1.pt")
    for other, shown in (("2.pt", r"not \w{12}"), (None, "not None")):
        with pytest.raises(RuntimeError) as caught:
            train(pairs, foreign_directory, pretrained=other)
        assert re.search(rf"trained with pretrained \w{{12}}, {shown}: pass", str(find_refusal(caught.value)))


def test_data_that_moved_are_the_same(foreign_directory, pairs, caplog):  # noqa: F811
    train(pairs, foreign_directory)
    moved = shutil.move(pairs, pairs.with_name("elsewhere"))
    for path in moved.iterdir():
        path.touch()
    train(moved, foreign_directory)
    assert "nothing left to train" in caplog.text


def test_a_damaged_checkpoint_is_refused(foreign_directory, pairs):  # noqa: F811
    (foreign_directory / "weights").mkdir()
    (foreign_directory / "weights" / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(RuntimeError) as caught:
        train(pairs, foreign_directory)
    assert "it is damaged: move it away" in str(find_refusal(caught.value))
