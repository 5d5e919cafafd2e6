import json

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

from bundle.tat.engines.weights import load_weights
from bundle.tat.networks import TAT
from tests.configs.conftest import CONFIGS, content, run_config
from tests.scans import blobs, write_nifti

TINY = {
    "_target_": "TAT",
    "dim": 4,
    "num_blocks": [1, 1, 1, 1],
    "num_refinement_blocks": 1,
    "heads": [1, 1, 2, 2],
    "task_features": 2,
    "train_size": 16,
}


@pytest.fixture
def pairs(tmp_path):
    """Noisy and clean volumes of odd sizes and oblique geometry, unequal numbers of the three tasks."""
    ranges = {"CT": (-1000, 1000), "MRI": (0, 1200), "PET": (0, 8)}
    lists = {"training": [], "validation": []}
    for number, (modality, section) in enumerate(
        [("CT", "training"), ("CT", "training"), ("MRI", "training"), ("PET", "training")]
        + [(modality, "validation") for modality in ranges]
    ):
        low, high = ranges[modality]
        clean = blobs((21, 13 + number, 3), low, high, seed=number)
        noisy = clean + np.random.default_rng(number).normal(0, 0.05 * (high - low), clean.shape).astype(np.float32)
        for kind, volume in (("image", noisy), ("label", clean)):
            write_nifti(tmp_path / "pairs" / f"{number}_{kind}.nii.gz", volume)
        lists[section].append(
            {"image": f"{number}_image.nii.gz", "label": f"{number}_label.nii.gz", "modality": modality, "n_slices": 3}
        )
    (tmp_path / "pairs" / "datalist.json").write_text(json.dumps(lists))
    return tmp_path / "pairs"


def overrides(pairs, folder, **more):
    return {
        "dataset_dir": str(pairs),
        "ckpt_dir": str(folder / "weights"),
        "device": "cpu",
        "epochs": 2,
        "epoch_length": 3,
        "val_interval": 1,
        "n_per_task": 2,
        **more,
    }


def test_training_runs_validates_and_saves_flat_weights(foreign_directory, pairs):
    workflow = run_config("train.json", workflow_type="train", **overrides(pairs, foreign_directory, network_def=TINY))
    trainer, evaluator = (
        workflow.parser.get_parsed_content(f"{id_}") for id_ in ("train#trainer", "validate#evaluator")
    )
    assert trainer.state.iteration == 6
    assert set(evaluator.state.metrics) == {"val_psnr", "val_psnr_CT", "val_psnr_MRI", "val_psnr_PET"}
    network = TAT(**{name: value for name, value in TINY.items() if name != "_target_"})
    load_weights(network, str(foreign_directory / "weights" / "model.pt"))
    assert any(path.name.startswith("checkpoint") for path in (foreign_directory / "weights").iterdir())


def test_training_learns(foreign_directory, pairs):
    """Thirty steps on a handful of patches lower the loss on them."""
    more = {"network_def": TINY, "epochs": 1, "epoch_length": 30, "learning_rate": 0.003, "val_interval": 5}
    workflow = ConfigWorkflow(
        str(CONFIGS / "train.json"),
        workflow_type="train",
        logging_file=False,
        **overrides(pairs, foreign_directory, **more),
    )
    workflow.initialize()
    trainer = workflow.parser.get_parsed_content("train#trainer")
    losses = []

    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output["loss"].item())
    )
    workflow.run()
    assert np.mean(losses[-6:]) < np.mean(losses[:6])


def test_small_preset_trains_the_network_that_inference_restores_with(foreign_directory, pairs):
    assert content("small.json")["network_def"] == content("inference.json")["network_def"]
    more = {"epochs": 1, "epoch_length": 1, "n_per_task": 1, "val_interval": 5}
    workflow = run_config(
        "train.json", "small.json", workflow_type="train", **overrides(pairs, foreign_directory, **more)
    )
    network = workflow.parser.get_parsed_content("network")
    size = sum(parameter.numel() * 4 for parameter in network.parameters())
    assert size < 10_000_000
    assert workflow.parser.get_parsed_content("train#patch_size") == content("small.json")["network_def"]["train_size"]


def test_train_config_is_the_papers_network():
    parser = ConfigWorkflow(str(CONFIGS / "train.json"), workflow_type="train", logging_file=False).parser
    parser.parse()
    assert sum(parameter.numel() for parameter in parser.get_parsed_content("network_def").parameters()) == 41_687_424


def test_nothing_that_monai_asks_for_is_missing(foreign_directory, pairs):
    workflow = ConfigWorkflow(
        str(CONFIGS / "train.json"),
        workflow_type="train",
        logging_file=False,
        **overrides(pairs, foreign_directory, network_def=TINY),
    )
    workflow.initialize()
    assert not workflow.check_properties()


def test_same_seed_same_weights(foreign_directory, pairs):
    weights = []
    for name in ("one", "two"):
        changes = overrides(pairs, foreign_directory / name, network_def=TINY, epochs=1)
        run_config("train.json", workflow_type="train", **changes)
        weights.append(torch.load(foreign_directory / name / "weights" / "model.pt", weights_only=True))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
