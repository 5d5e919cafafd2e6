"""Training that is killed and started again ends where uninterrupted training ends, to the bit."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from bundle.tat.cases.refusals import find_refusal
from bundle.tat.handlers.training_identity import refuse_another
from bundle.tat.networks import TAT
from bundle.tat.refusal import RefusedInputError
from tests.configs.conftest import CONFIGS, content, run_config
from tests.configs.test_train import TINY, overrides, pairs  # noqa: F401 - the fixture

N_EPOCHS = 4
STAGES = ("train#degrade", "train#crop", "train#vary", "train#augment")
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
        ({"amp": True}, "amp False, not True"),
        (
            {"network_def": {**TINY, "stop_gradient": False}},
            "stop_gradient True, not False: pass the first values (leave out ablations/no_stop_gradient.json)",
        ),
        pytest.param(
            MUON,
            "optimizer AdamW, not MuonWithAdamW: pass the first values (leave out muon.json)",
            marks=NEEDS_MUON,
        ),
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


def identity(pairs, *overlays, **more) -> dict:  # noqa: F811
    """What a training of these configs would write into its checkpoint, without training."""
    ids = {"dataset_dir": str(pairs), "device": "cpu", "n_per_task": 2, "train#dataset": {"data": []}}
    parser = ConfigParser(ConfigParser.load_config_files([str(CONFIGS / name) for name in ("train.json", *overlays)]))
    parser.update({**ids, "network_def": TINY.copy(), **more})
    return parser.get_parsed_content("training")


OTHER_LEARNING = [
    ([], [], {"loss_def#measure": "root_mean_square"}, "measure mean_absolute, not root_mean_square: pass"),
    ([], [], {"loss_def#min_uncertainty": 0.1}, "min_uncertainty 0.0, not 0.1: pass"),
    (["augmented.json"], ["augmented.json"], {"clean_prob": 0.5}, "clean_prob 0.05, not 0.5: pass"),
    (["scanners.json"], ["scanners.json"], {"scanner_fwhm": [1.0, 2.0]}, "scanner_fwhm [0.8, 3.0], not [1.0, 2.0]"),
    (["scanners.json"], ["scanners.json", "sharp.json"], {}, "pass the first values (leave out sharp.json)"),
    (["scanners.json", "sharp.json"], ["scanners.json"], {}, "pass the first values (add sharp.json)"),
    (["augmented.json"], ["scanners.json"], {}, "(add augmented.json, leave out scanners.json)"),
    (["layouts/data_clean.json"], ["layouts/data_clean.json"], {"count_fraction": [0.1, 0.2]}, "count_fraction [0.04"),
    (["layouts/data_ixi.json"], ["layouts/data_clean.json"], {}, "(add layouts/data_ixi.json, leave out layouts/data"),
    pytest.param(["muon.json"], [], {}, "optimizer MuonWithAdamW, not AdamW: pass the first values (add muon.json)"),
]


@pytest.mark.parametrize(("overlays", "others", "change", "message"), OTHER_LEARNING, ids=str)
def test_what_decides_the_training_is_compared(pairs, overlays, others, change, message):  # noqa: F811
    if "muon.json" in overlays and not hasattr(torch.optim, "Muon"):
        pytest.skip("PyTorch before 2.9 has no Muon")
    first, second = identity(pairs, *overlays), identity(pairs, *others, **change)
    with pytest.raises(RefusedInputError, match=re.escape(message)) as caught:
        refuse_another(first, second, Path("c.pt"))
    assert "not None" not in str(caught.value)


@pytest.mark.parametrize(
    ("overlays", "change"),
    [
        ([], {"num_workers": 4, "log_interval": 7, "val_interval": 3, "tensorboard": True, "mlflow": True}),
        ([], {"device": "meta", "network_def#gradient_checkpointing": True, "network_def#max_memory": 8.0}),
        ([], {"channels_last": True, "amp_dtype": "float16", "ckpt_dir": "elsewhere", "slice_batch_size": 1}),
        ([], {"n_ranks": 2, "rank": 1, "n_per_task": 1}),
        (["layouts/data_folders.json"], {}),
        (["layouts/data_reference.json"], {}),
    ],
    ids=str,
)
def test_what_does_not_decide_the_training_may_change(pairs, overlays, change):  # noqa: F811
    refuse_another(identity(pairs), identity(pairs, *overlays, **change), Path("c.pt"))


def test_the_order_of_overlays_does_not_matter(pairs):  # noqa: F811
    overlays = ["augmented.json", "layouts/data_clean.json"]
    assert identity(pairs, *overlays) == identity(pairs, *reversed(overlays))


def test_every_overlay_that_sets_what_pairs_become_is_part_of_the_recipe():
    """A new one that is forgotten would let a training go on with other pairs."""
    for path in CONFIGS.rglob("*.json"):
        name = str(path.relative_to(CONFIGS))
        overlay = content(name)
        if name == "train.json" or not any(id_.startswith(STAGES) for id_ in overlay):
            continue
        (entry,) = overlay["+recipe"]
        assert entry["overlay"] == name
        assert all(value == f"@{id_}" for id_, value in entry.items() if id_ != "overlay")
        stages = json.dumps({id_: value for id_, value in overlay.items() if id_.startswith(STAGES)})
        used = {id_ for id_ in overlay if re.search(rf"@{id_}\b", stages)} - {"seed"}
        assert used <= entry.keys(), f"{name} does not record {used - entry.keys()}"


def test_a_checkpoint_of_before_a_setting_existed_goes_on(foreign_directory, pairs, caplog):  # noqa: F811
    train(pairs, foreign_directory)
    path = foreign_directory / "weights" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    for name in ("optimizer", "recipe", "stop_gradient", "measure", "amp"):
        del state["training"][name]
    torch.save(state, path)
    train(pairs, foreign_directory)
    assert "nothing left to train" in caplog.text
