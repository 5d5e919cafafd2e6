import json
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow

from bundle.tat.networks import TAT

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"


def content(name: str) -> dict:
    return json.loads((CONFIGS / name).read_text())


@pytest.fixture
def foreign_directory(tmp_path, monkeypatch) -> Path:
    """A working directory that has nothing to do with the repository."""
    folder = tmp_path / "somewhere else"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def weights(tmp_path) -> Path:
    """Random weights of the shipped architecture, the generated kernels included."""
    arguments = {name: value for name, value in content("inference.json")["network_def"].items() if name != "_target_"}
    network = TAT(**arguments)
    for name, parameter in network.named_parameters():
        if name.endswith("adaptation"):
            torch.nn.init.normal_(parameter, std=0.5)
    torch.save(network.state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def run_config(*names: str, workflow_type: str = "inference", **overrides) -> ConfigWorkflow:
    workflow = ConfigWorkflow(
        [str(CONFIGS / name) for name in names], workflow_type=workflow_type, logging_file=False, **overrides
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    return workflow
