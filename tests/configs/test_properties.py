"""MONAI's own tables of properties, by which other programs look at a bundle and change it."""

import csv

import pytest
import torch
from monai.bundle import ConfigWorkflow
from monai.bundle.properties import InferProperties, MetaProperties, TrainProperties
from monai.utils import BundlePropertyConfig

from bundle.tat.cases.refusals import find_refusal
from tests.configs.conftest import CONFIGS, ROOT
from tests.configs.test_train import TINY, overrides, pairs  # noqa: F401 - the fixture
from tests.scans import blobs, write_nifti

# Optional properties that have no meaning here.
ABSENT = {
    "train": {
        "train_postprocessing": "the loss sees the network's output as it is",
        "train_key_metric": "a training is judged by its validation, which the loss on patches does not stand in for",
    },
    "infer": {"key_metric": "there is nothing to compare a restored scan with: evaluate.json scores"},
}
TABLES = {"train": {**TrainProperties, **MetaProperties}, "infer": {**InferProperties, **MetaProperties}}


@pytest.fixture
def training(foreign_directory, pairs):  # noqa: F811
    return workflow("train", "train.json", **overrides(pairs, foreign_directory, network_def=TINY, epochs=1))


@pytest.fixture
def inference(foreign_directory):
    options = {"bundle_root": str(ROOT), "output_dir": "out", "device": "cpu", "inferer#progress": False}
    return workflow("infer", "inference.json", **options)


def workflow(kind: str, name: str, **options) -> ConfigWorkflow:
    made = ConfigWorkflow(str(CONFIGS / name), workflow_type=kind, logging_file=False, **options)
    made.initialize()
    return made


def test_the_tables_name_what_is_absent():
    for kind, reasons in ABSENT.items():
        assert reasons.keys() <= TABLES[kind].keys()


@pytest.mark.parametrize("name", TABLES["train"])
def test_every_property_of_training_is_there(training, name):
    assert (getattr(training, name) is None) is (name in ABSENT["train"])


@pytest.mark.parametrize("name", TABLES["infer"])
def test_every_property_of_inference_is_there(inference, name):
    assert (getattr(inference, name) is None) is (name in ABSENT["infer"])


@pytest.mark.parametrize("kind", TABLES)
def test_parts_are_named_where_the_table_looks_for_them(training, inference, kind):
    """An engine that takes its handlers from elsewhere would not see those that a program puts there."""
    parser = {"train": training, "infer": inference}[kind].parser
    for name, entry in TABLES[kind].items():
        place = entry.get(BundlePropertyConfig.REF_ID)
        if place and name not in ABSENT[kind] and place in parser:
            assert parser[place] == f"@{entry[BundlePropertyConfig.ID]}", name
    assert not {"train": training, "infer": inference}[kind].check_properties()


def test_the_list_that_is_trained_on_can_be_set(foreign_directory, training):
    items = training.train_dataset_data
    assert [item["modality"] for item in items] == ["CT", "CT", "MRI", "PET"]
    training.train_dataset_data = [item for item in items if item["modality"] != "PET"]
    training.max_epochs = 2
    training.initialize()
    training.run()
    assert len(training.train_dataset) == 3
    with (foreign_directory / "weights" / "training_log.csv").open() as file:
        tasks = {row["task"] for row in csv.DictReader(file)}
    assert tasks <= {"CT", "MRI"}
    batch = next(iter(training.parser.get_parsed_content("train#dataloader")))
    assert sorted(set(batch["modality"])) == ["CT", "MRI"]
    assert training.trainer.state.epoch == 2
    # The cosine has come to its end: it was made for as many epochs.
    assert training.trainer.optimizer.param_groups[0]["lr"] == pytest.approx(1e-7)


def test_the_list_that_is_validated_on_can_be_set(training):
    training.val_dataset_data = [item for item in training.val_dataset_data if item["modality"] == "CT"]
    training.initialize()
    training.run()
    assert {name.rsplit("_", 1)[-1] for name in training.evaluator.state.metrics} == {"CT", "psnr", "ssim"}


def test_an_item_that_does_not_name_its_task_is_refused(training):
    training.train_dataset_data = [{**item, "modality": ""} for item in training.train_dataset_data]
    training.initialize()
    with pytest.raises(RuntimeError) as error:
        training.run()
    assert "nothing tells the modality of this scan" in str(find_refusal(error.value))


def test_scans_to_restore_can_be_set_by_their_paths_alone(foreign_directory, inference):
    scans = [write_nifti(foreign_directory / name / "head.nii.gz", blobs((16, 16, 2), 0, 9)) for name in ("a", "b")]
    inference.dataset_data = [{"image": str(scans[0]), "modality": "PET"}]
    inference.parser.update({"network_def": {"_target_": "torch.nn.Identity"}, "handlers": []})
    inference.initialize()
    inference.run()
    assert (foreign_directory / "out" / "head" / "head_restored.nii.gz").is_file()
    inference.dataset_data = [{"image": str(scan), "modality": "PET", "case": scan.parent.name} for scan in scans]
    inference.initialize()
    inference.run()
    assert {path.name for path in (foreign_directory / "out").iterdir() if path.is_dir()} == {"head", "a", "b"}
    assert isinstance(inference.network_def, torch.nn.Identity)
