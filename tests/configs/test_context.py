"""Neighbouring slices as channels: training, validation, scoring and inference take their number from the network."""

import json
from itertools import pairwise

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from bundle.tat.networks import TAT
from tests.configs.conftest import CONFIGS, run_config
from tests.configs.test_scanners import both, options  # noqa: F401 - a fixture
from tests.configs.test_train import TINY
from tests.scans import blobs, write_nifti

THREE = {**TINY, "in_channels": 3}


def network_of(definition: dict) -> TAT:
    return TAT(**{name: value for name, value in definition.items() if name != "_target_"})


def parse(*names: str, **more) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / name) for name in names])
    parser.update(more)
    return parser


@pytest.mark.parametrize("overlay", ["scanners.json", "augmented.json", None])
def test_trains_and_validates(foreign_directory, both, overlay):  # noqa: F811
    names = [name for name in ("train.json", overlay) if name]
    torch.save(network_of(TINY).state_dict(), "given.pt")
    more = {"network_def": THREE, "pretrained": "given.pt", "learning_rate": 1e-3}
    workflow = run_config(*names, workflow_type="train", **options(both, foreign_directory, **more))
    output = workflow.parser.get_parsed_content("train#trainer").state.output
    shapes = {key: tuple(output[key].shape[1:]) for key in ("image", "label", "pred")}
    assert shapes == {"image": (3, 16, 16), "label": (1, 16, 16), "pred": (1, 16, 16)}
    assert "val_psnr_PET" in workflow.parser.get_parsed_content("validate#evaluator").state.metrics
    trained = torch.load(foreign_directory / "weights" / "model.pt", weights_only=True)
    assert trained["embed.weight"].shape[1] == 3
    assert trained["embed.weight"][:, [0, 2]].any()  # neighbours are learned from


def test_a_crop_is_a_slice_with_its_neighbours_and_ends_are_repeated(both, tmp_path):  # noqa: F811
    """Each label is the clean slice in the middle; the ends of a volume are learned from as often as any slice."""
    parser = parse("train.json", **options(both, tmp_path, network_def=THREE))
    clean = {item["modality"]: item["label"].squeeze(0) for item in parser.get_parsed_content("train#dataset")._cache}
    n_repeated = 0
    for batch, _ in zip(parser.get_parsed_content("train#dataloader"), range(20), strict=False):
        for image, label, modality in zip(batch["image"], batch["label"], batch["modality"], strict=True):
            patches = clean[modality].unfold(0, 16, 1).unfold(1, 16, 1)  # (places, places, slices, 16, 16)
            assert (patches == label).all(dim=(-1, -2)).any()
            n_repeated += torch.equal(image[0], image[1]) + torch.equal(image[2], image[1])
    assert 0.5 < n_repeated / 120 < 0.9  # two ends of three slices


@pytest.mark.parametrize("overlay", ["scanners.json", "augmented.json", "layouts/data_ixi.json", None])
def test_without_neighbours_nothing_is_repeated(overlay):
    names = [name for name in ("train.json", overlay) if name]
    parser = parse(*names, network_def=TINY)
    assert parser.get_parsed_content("context") == 0
    for step in parser.get_parsed_content("train#ends"):
        volume = {key: torch.rand(1, 4, 5, 3) for key in ("image", "label")}
        assert all(torch.equal(step(volume)[key], volume[key]) for key in volume)


def test_slices_degraded_on_the_fly_have_real_neighbours(tmp_path):
    for number in range(4):
        write_nifti(tmp_path / f"IXI{number:03d}-HH-12-T2.nii.gz", blobs((20, 17, 6), 0, 1200, seed=number))
    more = {"dataset_dir": str(tmp_path), "network_def": THREE, "train#n_slices": 4, "n_per_task": 8}
    parser = parse("train.json", "layouts/data_ixi.json", **more)
    batch = next(iter(parser.get_parsed_content("train#dataloader")))
    assert batch["image"].shape[1:] == (3, 16, 16)
    n_different = sum(not torch.equal(*pair) for image in batch["image"] for pair in pairwise(image))
    assert n_different > 8


def test_an_overlay_gives_three_slices_to_training_and_to_inference():
    for names in (("train.json", "small.json", "context.json"), ("inference.json", "context.json")):
        parser = parse(*names)
        assert parser.get_parsed_content("network_def").embed.in_channels == 3
        assert parser.get_parsed_content("context") == 1


@pytest.fixture
def three(foreign_directory):
    torch.save(network_of(THREE).state_dict(), "model.pt")
    return {"ckpt_path": "model.pt", "network_def": THREE, "device": "cpu", "output_dir": "out"}


def test_restores_with_neighbours(foreign_directory, three):
    scan = blobs((24, 16, 5), -1000, 1000)
    write_nifti(foreign_directory / "scan.nii.gz", scan)
    more = {**three, "dataset_dir": "scan.nii.gz", "modality": "CT", "inferer#progress": False, "workers": 2}
    workflow = run_config("inference.json", **more)
    assert workflow.parser.get_parsed_content("inferer").context == 1
    restored = nibabel.load(foreign_directory / "out" / "scan" / "scan_restored.nii.gz").get_fdata(dtype=np.float32)
    network = network_of(THREE).eval()
    network.load_state_dict(torch.load("model.pt", weights_only=True))
    scaled = torch.from_numpy((scan + 1024) / 4096)
    with torch.inference_mode():
        second = network(scaled[..., 0:3].movedim(-1, 0)[None])[0, 0] * 4096 - 1024
    np.testing.assert_allclose(restored[..., 1], second, atol=0.05)


def test_scores_with_neighbours(foreign_directory, three, both):  # noqa: F811
    more = options(both, foreign_directory, **{**three, "baselines": [], "output_dir": "scores"})
    run_config("train.json", "scanners.json", "evaluate.json", workflow_type="train", **more)
    assert json.loads((foreign_directory / "scores" / "summary.json").read_text())["tasks"].keys() == {
        "CT",
        "MRI",
        "PET",
    }
