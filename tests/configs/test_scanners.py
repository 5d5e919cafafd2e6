"""Prepared pairs and clean real scans are trained on together, and both are validated on and scored."""

import json

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from bundle.tat.networks import TAT
from tests.configs.conftest import CONFIGS, run_config
from tests.configs.test_train import TINY, assert_cache_is_left_alone, two_steps
from tests.scans import blobs, write_nifti

RANGES = {"CT": (-1000, 1000), "MRI": (0, 1200), "PET": (0, 8)}
SECTIONS = ("training", "validation", "testing")


@pytest.fixture
def both(tmp_path):
    """``datalist.json`` with pairs, and ``real.json`` whose training section has clean scans alone."""
    folder = tmp_path / "data"
    for name in ("datalist", "real"):
        lists = {section: [] for section in SECTIONS}
        for seed, (modality, (low, high)) in enumerate(RANGES.items()):
            clean = blobs((20, 23, 3), low, high, seed=seed)
            noise = np.random.default_rng(seed).normal(0, 0.05 * (high - low), clean.shape)
            write_nifti(folder / f"{name}_{modality}_full.nii.gz", clean)
            write_nifti(folder / f"{name}_{modality}_low.nii.gz", (clean + noise).astype(np.float32))
            pair = {kind: f"{name}_{modality}_{side}.nii.gz" for kind, side in (("image", "low"), ("label", "full"))}
            for section in SECTIONS:
                shown = {"label": pair["label"]} if name == "real" and section == "training" else pair
                # Not every entry says the same: lists of different origin go into one batch.
                said = {"subject": name, **({"noise_hu": 4.0} if name == "real" and modality == "CT" else {})}
                lists[section].append({**shown, **said, "modality": modality})
        (folder / f"{name}.json").write_text(json.dumps(lists))
    return folder


def options(both, folder, **more):
    return {**two_steps(both, folder), **more}


def parser_of(both, folder, **more):
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / name) for name in ("train.json", "scanners.json")])
    parser.update(options(both, folder, **more))
    return parser


def test_trains_and_validates(foreign_directory, both):
    workflow = run_config("train.json", "scanners.json", workflow_type="train", **options(both, foreign_directory))
    trainer, evaluator = (workflow.parser.get_parsed_content(id_) for id_ in ("train#trainer", "validate#evaluator"))
    assert trainer.state.iteration == 2
    assert {f"val_psnr_{task}" for task in RANGES} <= evaluator.state.metrics.keys()
    assert {tuple(trainer.state.output[key].shape[1:]) for key in ("image", "label")} == {(1, 16, 16)}


def test_both_lists_are_trained_on_and_validated_on(both, tmp_path):
    parser = parser_of(both, tmp_path)
    for part in ("train", "validate"):
        items = parser.get_parsed_content(f"{part}#datalist")
        assert [item["modality"] for item in items] == [*RANGES] * 2
    assert ["image" in item for item in parser.get_parsed_content("train#datalist")] == [True] * 3 + [False] * 3


def test_every_clean_scan_is_degraded_and_none_of_the_cache_is_changed(both, tmp_path):
    """Whatever else is drawn or not, a clean scan is no sample of nothing to do, unless that is asked for."""
    more = {"scanner_prob": 0.0, "noise_prob": 0.0, "clean_prob": 0.0, "kspace_kept": [0.2, 0.5]}
    parser = parser_of(both, tmp_path, **more)
    cache, loader, drawn = (parser.get_parsed_content(f"train#{id_}") for id_ in ("dataset", "dataloader", "drawn"))
    assert_cache_is_left_alone(cache, loader)
    for batch, _ in zip(loader, range(3), strict=False):
        assert (batch["image"] != batch["label"]).flatten(1).any(1).all()
    assert len(drawn) == 6


def test_the_test_sections_of_both_are_scored(foreign_directory, both):
    torch.save(TAT(**{name: it for name, it in TINY.items() if name != "_target_"}).state_dict(), "model.pt")
    more = {"ckpt_path": "model.pt", "baselines": []}
    run_config(
        "train.json",
        "scanners.json",
        "evaluate.json",
        workflow_type="train",
        **options(both, foreign_directory, **more),
    )
    tasks = json.loads((foreign_directory / "out" / "summary.json").read_text())["tasks"]
    assert {task: found["n_slices"] for task, found in tasks.items()} == dict.fromkeys(RANGES, 6)
