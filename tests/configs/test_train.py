import copy
import csv
import json
import re
import sqlite3
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

from bundle.tat.cases.refusals import find_refusal
from bundle.tat.handlers.checkpoint import TrainingCheckpoint
from bundle.tat.handlers.weights_loader import load_weights
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


def two_steps(dataset_dir: Path, folder: Path) -> dict[str, object]:
    """Ids of a training of two steps on a CPU that writes into a folder."""
    return {
        "dataset_dir": str(dataset_dir),
        "ckpt_dir": str(folder / "weights"),
        "output_dir": str(folder / "out"),
        "network_def": TINY,
        "device": "cpu",
        "epochs": 1,
        "epoch_length": 2,
        "n_per_task": 2,
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


def assert_cache_is_left_alone(cache, loader):
    """Drawing batches changes nothing of what is drawn from."""
    before = copy.deepcopy(cache._cache)
    for _ in islice(loader, 5):
        pass
    for item, old in zip(cache._cache, before, strict=True):
        assert item.keys() == old.keys()
        assert all(torch.equal(item[key], old[key]) for key in ("image", "label") if key in old)


def test_training_goes_out_from_given_weights_in_mixed_precision(foreign_directory, pairs):
    torch.save(TAT(**{name: value for name, value in TINY.items() if name != "_target_"}).state_dict(), "given.pt")
    given = torch.load("given.pt", weights_only=True)
    run_config(
        "train.json",
        workflow_type="train",
        **overrides(pairs, foreign_directory, network_def=TINY, pretrained="given.pt", learning_rate=1e-7, amp=True),
    )
    trained = torch.load(foreign_directory / "weights" / "model.pt", weights_only=True)
    assert all(torch.allclose(trained[name], weight, atol=1e-5) for name, weight in given.items())
    assert any(not torch.equal(trained[name], weight) for name, weight in given.items())


def test_training_runs_validates_and_saves_flat_weights(foreign_directory, pairs):
    workflow = run_config("train.json", workflow_type="train", **overrides(pairs, foreign_directory, network_def=TINY))
    trainer, evaluator = (
        workflow.parser.get_parsed_content(f"{id_}") for id_ in ("train#trainer", "validate#evaluator")
    )
    assert trainer.state.iteration == 6
    names = {f"val_{score}_{task}" for score in ("psnr", "ssim", "rmse") for task in ("CT", "MRI", "PET")}
    assert set(evaluator.state.metrics) == names | {"val_psnr", "val_ssim"}
    network = TAT(**{name: value for name, value in TINY.items() if name != "_target_"})
    load_weights(network, str(foreign_directory / "weights" / "model.pt"))
    assert (foreign_directory / "weights" / "checkpoint.pt").is_file()


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
    assert workflow.parser.get_parsed_content("train#patch_size") == content("small.json")["train#patch_size"]


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


def test_log_tells_error_and_weight_of_each_task(foreign_directory, pairs):
    changes = overrides(pairs, foreign_directory, network_def=TINY, log_interval=2)
    workflow = run_config("train.json", workflow_type="train", **changes)
    with (foreign_directory / "weights" / "training_log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["iteration"]), row["task"]) for row in rows] == list(product((2, 4, 6), ("CT", "MRI", "PET")))
    assert all(0 <= float(row["loading_share"]) <= 1 for row in rows)
    losses = [float(row["weight"]) * float(row["error"]) for row in rows[-3:]]
    trainer = workflow.parser.get_parsed_content("train#trainer")
    assert 0 < np.mean(losses) < trainer.state.output["loss"].item()  # what is missing is the penalty


def test_a_training_of_short_epochs_has_a_log(foreign_directory, pairs):
    run_config("train.json", workflow_type="train", **overrides(pairs, foreign_directory, network_def=TINY))
    with (foreign_directory / "weights" / "training_log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["iteration"]), row["task"]) for row in rows] == list(product((3, 6), ("CT", "MRI", "PET")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs is 0: pass 1 or more"),
        ({"epoch_length": 0}, "epoch_length is 0"),
        ({"n_per_task": 0}, "n_per_task is 0"),
        ({"max_grad_norm": -1}, "max_norm is -1"),
    ],
    ids=str,
)
def test_numbers_that_cannot_be_meant_are_refused(foreign_directory, pairs, change, message):
    with pytest.raises(RuntimeError) as caught:
        run_config(
            "train.json", workflow_type="train", **overrides(pairs, foreign_directory, network_def=TINY) | change
        )
    assert re.search(message, str(find_refusal(caught.value)))


def test_an_item_that_names_no_modality_is_told_where_to_name_it(foreign_directory, pairs):
    items = json.loads((pairs / "datalist.json").read_text())["validation"]
    items = [{key: str(pairs / item[key]) for key in ("image", "label")} for item in items]
    changes = overrides(pairs, foreign_directory, network_def=TINY) | {"validate#dataset#data": items}
    with pytest.raises(RuntimeError) as caught:
        run_config("train.json", workflow_type="train", **changes)
    assert "nothing tells the modality of this scan: name it in the list" in str(find_refusal(caught.value))


def test_log_goes_on_with_the_training(foreign_directory, pairs, monkeypatch):
    changes = overrides(pairs, foreign_directory, network_def=TINY, log_interval=1)
    log = foreign_directory / "weights" / "training_log.csv"
    save = TrainingCheckpoint.save
    with monkeypatch.context() as patch:
        patch.setattr(TrainingCheckpoint, "save", lambda self, trainer: (save(self, trainer), trainer.terminate()))
        run_config("train.json", workflow_type="train", **changes)
    with log.open("a") as file:
        file.write("9,CT,1,1,1,1,1,1,1e6\n")  # a step after the checkpoint, which will be done again
    run_config("train.json", workflow_type="train", **changes)
    with log.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == [step for step in range(1, 7) for _ in range(3)]
    seconds = [float(row["cpu_seconds"]) for row in rows]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] < seconds[-1] < 1e6


def test_tensorboard_gets_scalars_and_pictures(foreign_directory, pairs):
    pytest.importorskip("tensorboard", reason="the extra 'tracking' is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    changes = overrides(pairs, foreign_directory, network_def=TINY, log_interval=1, tensorboard=True)
    run_config("train.json", workflow_type="train", **changes)
    events = EventAccumulator(str(foreign_directory / "weights" / "tensorboard")).Reload()
    tags = events.Tags()
    expected = {"train_loss", "weight/CT", "error/PET", "learning_rate", "gradient_norm", "loading_share"}
    assert expected | {"val_psnr_MRI", "val_rmse_CT"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("val_psnr_CT")] == [1, 2]
    assert len(tags["images"]) == 3


@pytest.mark.filterwarnings("ignore")  # what MLflow's own dependencies warn of is not ours to mend
def test_mlflow_gets_what_training_logs(foreign_directory, pairs, monkeypatch):
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    changes = overrides(pairs, foreign_directory, network_def=TINY, log_interval=2, mlflow=True)
    run_config("train.json", workflow_type="train", **changes)
    with sqlite3.connect(foreign_directory / "weights" / "mlflow.db") as store:
        tracked = {(key, step): value for key, step, value in store.execute("select key, step, value from metrics")}
    store.close()
    assert {("val_psnr", 1), ("val_rmse_CT", 2), ("gradient_norm", 2), ("loading_share", 6)} <= set(tracked)
    with (foreign_directory / "weights" / "training_log.csv").open() as file:
        for row in csv.DictReader(file):
            step = int(row["iteration"])
            assert tracked["train_loss", step] == float(row["loss"])
            assert tracked["learning_rate", step] == float(row["learning_rate"])
            assert tracked[f"weight/{row['task']}", step] == float(row["weight"])


@pytest.mark.parametrize(
    "overlay",
    ["ablations/no_weight_generation.json", "ablations/no_loss_balancing.json", "ablations/no_stop_gradient.json"],
)
def test_ablations_run(foreign_directory, pairs, overlay):
    changes = overrides(pairs, foreign_directory, epochs=1, epoch_length=1, n_per_task=1, val_interval=5)
    workflow = run_config("train.json", "small.json", overlay, workflow_type="train", **changes)
    network, loss = (workflow.parser.get_parsed_content(id_) for id_ in ("network", "loss"))
    assert (network.tren is None) is (overlay == "ablations/no_weight_generation.json")
    assert network.stop_gradient is (overlay != "ablations/no_stop_gradient.json")
    assert any(True for _ in loss.parameters()) is (overlay != "ablations/no_loss_balancing.json")


def test_task_specific_setting(foreign_directory, pairs):
    changes = overrides(pairs, foreign_directory, network_def=TINY, tasks="CT")
    workflow = run_config("train.json", workflow_type="train", **changes)
    evaluator = workflow.parser.get_parsed_content("validate#evaluator")
    assert {name.rsplit("_", 1)[-1] for name in evaluator.state.metrics} == {"CT", "psnr", "ssim"}


@pytest.mark.parametrize("overlays", [[], ["augmented.json"]], ids=str)
def test_random_transforms_leave_the_cache_as_it_is(foreign_directory, pairs, overlays):
    """It is not copied, since copying whole volumes takes as long as the rest of loading."""
    augmentation = dict.fromkeys(("flip_prob", "rotate90_prob", "intensity_prob"), 1.0)
    workflow = ConfigWorkflow(
        [str(CONFIGS / name) for name in ("train.json", *overlays)],
        workflow_type="train",
        logging_file=False,
        **overrides(pairs, foreign_directory, network_def=TINY, **augmentation),
    )
    workflow.initialize()
    cache, loader = (workflow.parser.get_parsed_content(f"train#{id_}") for id_ in ("dataset", "dataloader"))
    assert_cache_is_left_alone(cache, loader)


def test_augmentation_changes_nothing_when_it_is_off(foreign_directory, pairs):
    """Off is the default and the paper's way; on, a pair stays a pair."""

    def batch(**more):
        workflow = ConfigWorkflow(
            str(CONFIGS / "train.json"),
            workflow_type="train",
            logging_file=False,
            **overrides(pairs, foreign_directory, network_def=TINY, **more),
        )
        workflow.initialize()
        return next(iter(workflow.parser.get_parsed_content("train#dataloader")))

    plain, augmented = batch(), batch(flip_prob=1.0)
    for key in ("image", "label"):
        torch.testing.assert_close(augmented[key], plain[key].flip(-2, -1))
