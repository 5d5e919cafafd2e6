import json
import sys
from pathlib import Path

import pytest

# A network that changes nothing, and no weights: what the command does around it shows.
IDENTITY = ["--network_def", json.dumps({"_target_": "torch.nn.Identity"}), "--handlers", "[]", "--device", "cpu"]


@pytest.fixture
def foreign_directory(tmp_path, monkeypatch) -> Path:
    """A working directory that has nothing to do with the repository."""
    folder = tmp_path / "somewhere else"
    folder.mkdir()
    monkeypatch.chdir(folder)
    # A run changes how the process shows its last error, and where it looks for modules.
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return folder
