"""The page on fine-tuning does what it says: its commands, in its order, on tiny pairs."""

import csv
import re
import shlex
import shutil

import numpy as np
import pytest
import torch

from bundle.tat_command import main
from tests.command.conftest import foreign_directory  # noqa: F401 - the fixture
from tests.scans import blobs, write_nifti
from tests.test_layout import ROOT

PAGE = (ROOT / "docs" / "how-to" / "fine-tuning.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)[1:] for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
# Fewer steps than a user takes.
SHORT = {"train": ["--epoch_length", "1", "--n_per_task", "1"]}


@pytest.fixture
def bundle_folder(foreign_directory):  # noqa: F811
    """What of the bundle's folder the commands name, and pairs in the page's folders."""
    (foreign_directory / "models").mkdir()
    shutil.copy(ROOT / "models" / "model.pt", foreign_directory / "models")
    for name in re.findall(r"^(pairs/\S+)", PAGE, re.MULTILINE):
        clean = blobs((64, 72, 2), -1000, 1000, seed=sum(map(ord, name.rsplit("/", 1)[-1])))
        noise = np.random.default_rng(0).normal(0, 60, clean.shape).astype(np.float32)
        write_nifti(foreign_directory / name, clean + noise if "/LQ/" in name else clean)
    return foreign_directory


def shortened(words: list[str]) -> list[str]:
    """A command of the page with two epochs of a step."""
    words = ["2" if before == "--epochs" else word for before, word in zip(["", *words], words, strict=False)]
    device = ["--device", "cpu"] if words[0] != "compare" else []
    return [*words, *SHORT.get(words[0], []), *device]


def test_the_page_has_a_command_for_each_step():
    assert [words[0] for words in COMMANDS] == ["evaluate", "train", "evaluate", "compare", "restore"]


def test_the_commands_of_the_page_work_in_their_order(bundle_folder, capfd):
    pytest.importorskip("scipy")
    for words in COMMANDS:
        assert main(shortened(words)) == 0, f"{words}: {capfd.readouterr().err}"
    assert "PSNR [dB]" in capfd.readouterr().out
    run = bundle_folder / "runs" / "mine"
    named = set(re.findall(r"^\| `(\w+\.\w+)` \|", PAGE, re.MULTILINE))
    assert {path.name for path in run.iterdir()} == named
    with (run / "training_log.csv").open() as file:
        assert [(row["iteration"], row["task"]) for row in csv.DictReader(file)] == [("1", "CT"), ("2", "CT")]
    before, after = (torch.load(path, weights_only=True) for path in (ROOT / "models" / "model.pt", run / "model.pt"))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.allclose(before[name], after[name], atol=1e-2) for name in before)
    assert (bundle_folder / "restored" / "c" / "c_restored.nii.gz").is_file()

    train = shortened(COMMANDS[1])
    assert main(train) == 0
    assert "nothing left to train" in capfd.readouterr().err
    assert main([*train, "--learning_rate", "1e-5"]) == 1
    (refusal,) = [line for line in capfd.readouterr().err.splitlines() if "refused" in line]
    assert "learning_rate 0.0001, not 1e-05" in refusal
