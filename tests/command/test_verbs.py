"""Which configs the verbs run, and with which ids."""

import os
from pathlib import Path

import pytest

from bundle.tat.verbs import configs, perform
from bundle.tat_command import main
from tests.configs.test_train import TINY
from tests.scans import blobs, write_nifti
from tests.test_layout import ROOT

SMALL = ["train.json", "small.json"]


@pytest.fixture
def runs(monkeypatch, foreign_directory) -> list[dict]:
    """What ``monai.bundle.run`` is called with, instead of calling it."""
    calls: list[dict] = []
    monkeypatch.setattr(perform, "run", lambda **ids: calls.append(ids))
    return calls


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("restore IN OUT", ["inference.json"]),
        ("train", [*SMALL, "augmented.json"]),
        ("train --full", ["train.json"]),
        ("train --layout folders --data DIR", [*SMALL, "augmented.json", "layouts/data_folders.json"]),
        ("train --full --layout ixi", ["train.json", "layouts/data_ixi.json"]),
        ("evaluate", [*SMALL, "evaluate.json"]),
        ("evaluate --small", [*SMALL, "evaluate.json"]),
        ("evaluate --full --layout clean", ["train.json", "layouts/data_clean.json", "evaluate.json"]),
    ],
)
@pytest.mark.parametrize("is_launched", [False, True], ids=["alone", "torchrun"])
def test_configs_of_a_verb(words, names, is_launched, runs, monkeypatch):
    monkeypatch.setattr(configs, "is_torchelastic_launched", lambda: is_launched)
    assert main(words.split()) == 0
    overlay = {"restore": "multi_gpu_inference.json", "train": "multi_gpu_train.json"}
    more = [overlay.get(words.split()[0], "multi_gpu_evaluate.json")] if is_launched else []
    assert runs[0]["config_file"] == [str(ROOT / "configs" / name) for name in [*names, *more]]
    assert all(Path(file).is_file() for file in runs[0]["config_file"])
    assert {"full", "small", "layout", "data", "verbose"}.isdisjoint(runs[0])


def test_other_ids_go_on_unchanged(runs, foreign_directory):
    (foreign_directory / "mine.json").write_text((ROOT / "configs" / "train.json").read_text())
    words = "--data DIR --epochs 3 --network_def#dim 8 --tasks CT,PET --config_file mine.json"
    assert main(["train", *words.split()]) == 0
    assert runs == [
        {
            "config_file": "mine.json",
            "dataset_dir": str(foreign_directory / "DIR"),
            "epochs": 3,
            "network_def#dim": 8,
            "tasks": ("CT", "PET"),
            "logging_file": False,
            "progress#disable": True,
        }
    ]


def test_all_is_logged_if_asked_for(runs):
    main(["restore", "IN", "OUT", "--verbose"])
    assert "logging_file" not in runs[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "train --layout folder",
            "refused: layout is 'folder': pass one of aapm, clean, folders, ixi, reference\n",
        ),
        (
            "restore a b --slice_batchsize 1",
            "refused: slice_batchsize is no id of inference.json: did you mean slice_batch_size?\n",
        ),
        ("evaluate --small --full", "refused: small and full are both given: leave one out\n"),
    ],
)
def test_contradictions_are_refused(words, message, runs, capsys):
    assert main(words.split()) == 1
    assert capsys.readouterr().err == message
    assert not runs


def test_training_is_started_by_the_command(foreign_directory, capsys):
    """From folders of pairs to weights, with the configs of the small network."""
    for section in ("training", "validation"):
        for side in ("LQ", "HQ"):
            volume = blobs((80, 72, 2), -1000, 1000) + (30 if side == "LQ" else 0)
            write_nifti(foreign_directory / "pairs" / section / "CT" / side / "a.nii.gz", volume)
    words = ["train", "--data", "pairs", "--layout", "folders", "--ckpt_dir", "2026_01", "--network_def", str(TINY)]
    words += [
        "--epochs",
        "1",
        "--epoch_length",
        "2",
        "--val_interval",
        "1",
        "--device",
        "cpu",
        "--train#patch_size",
        "16",
    ]
    assert main(words) == 0
    assert (foreign_directory / "2026_01" / "model.pt").is_file()
    shown = capsys.readouterr()
    assert shown.err.count("Got new best metric of val_psnr") == 1  # what Ignite tells of an epoch, once
    assert "[1/2]" not in shown.err  # but no bar of its steps
    assert "input summary" not in shown.out + shown.err


@pytest.mark.parametrize("said", [None, "ACTIVE"])
def test_threads_that_wait_leave_the_cores_to_others(said, runs, monkeypatch):
    """Otherwise a slice takes twenty times as long beside other programs; who says otherwise is heeded."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if said:
        monkeypatch.setenv("OMP_WAIT_POLICY", said)
    main(["restore", "IN", "OUT"])
    assert os.environ["OMP_WAIT_POLICY"] == (said or "PASSIVE")
