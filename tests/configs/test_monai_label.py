"""The configs of an app for MONAI Label, run as Label runs them; its real server is tested in tests/integration."""

import importlib.util
import json

import pytest
import torch
from monai.bundle import ConfigParser, run

from bundle.tat.networks import TAT
from tests.configs.conftest import CONFIGS, ROOT, content
from tests.configs.test_train import TINY, pairs  # noqa: F401 - the fixture


@pytest.fixture
def merged():
    """The configs that scripts/hosts/label_app.py puts into an app."""
    file = ROOT / "scripts" / "hosts" / "label_app.py"
    specification = importlib.util.spec_from_file_location("label_app", file)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    return {
        name: ConfigParser.load_config_files([str(CONFIGS / file) for file in (name, *overlays)])
        for name, overlays in script.MERGED.items()
    }


def test_inference_shows_what_a_request_may_say(merged):
    shown = merged["inference.json"]["displayable_configs"]
    assert shown == {"modality": "", "result_extension": ".nii.gz"}
    assert "displayable_configs" not in content("inference.json")
    assert merged["inference.json"].keys() == content("inference.json").keys() | {"displayable_configs"}


def test_training_takes_labels_lists_and_starts_from_the_apps_weights(foreign_directory, pairs, merged):  # noqa: F811
    """Label hands over images and labels alone, and puts its own loader of weights before the handlers."""
    (foreign_directory / "configs").mkdir()
    (foreign_directory / "models").mkdir()
    (foreign_directory / "configs" / "train.json").write_text(json.dumps(merged["train.json"]))
    torch.manual_seed(3)
    network = TAT(**{name: value for name, value in TINY.items() if name != "_target_"})
    torch.save(network.state_dict(), foreign_directory / "models" / "model.pt")
    items = [{key: str(pairs / f"{number}_{key}.nii.gz") for key in ("image", "label")} for number in (0, 1, 4)]
    loader = {
        "_target_": "CheckpointLoader",
        "load_path": "$@bundle_root + '/models/model.pt'",
        "load_dict": {"model": "$@network"},
    }
    run(
        config_file=str(foreign_directory / "configs" / "train.json"),
        meta_file=str(CONFIGS / "metadata.json"),
        logging_file=False,
        **{
            "bundle_root": str(foreign_directory),
            "device": "cpu",
            "network_def": TINY,
            "train#patch_size": 16,
            "displayable_configs": {"modality": "CT", "epoch_length": 2},
            "train#trainer#max_epochs": 2,
            "train#dataset#data": items[:2],
            "validate#dataset#data": items[2:],
            "train#handlers": [loader, *merged["train.json"]["train"]["handlers"]],
            "learning_rate": 1e-7,
        },
    )
    trained = torch.load(foreign_directory / "models" / "model.pt", weights_only=True)
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(trained[name], weight, atol=1e-5, rtol=0)
    assert any(not torch.equal(trained[name], weight) for name, weight in network.state_dict().items())
    log = (foreign_directory / "models" / "validation_log.csv").read_text().splitlines()
    assert len(log) == 1 + 2  # epochs, with one task
    assert not (foreign_directory / "models" / "checkpoint.pt").exists()
