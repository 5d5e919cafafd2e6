"""``tat export``; that the files of the shipped weights are right is tried in tests/integration/test_exports.py."""

import json

import pytest
import torch
from monai.bundle import ConfigParser

from bundle.tat.export.check import compare
from bundle.tat.networks import TAT
from bundle.tat.refusal import RefusedInputError
from bundle.tat_command import main
from tests.configs.test_train import TINY


@pytest.fixture
def tiny(foreign_directory):
    """Config and random weights of a tiny network, and metadata beside them."""
    (foreign_directory / "inference.json").write_text(
        json.dumps({"imports": ["$import bundle.tat"], "network_def": TINY})
    )
    (foreign_directory / "metadata.json").write_text("{}")
    network = ConfigParser({"network_def": TINY}).get_parsed_content("network_def")
    torch.save(network.state_dict(), foreign_directory / "model.pt")
    return ["--config_file", "inference.json", "--ckpt_path", "model.pt"]


def test_a_file_is_written_and_compared(tiny, foreign_directory, capsys):
    assert main(["export", "1e5", "--formats", "ts", *tiny]) == 0
    out = foreign_directory / "1e5"
    assert sorted(path.name for path in out.iterdir()) == ["errors.json", "model.ts"]
    table = json.loads((out / "errors.json").read_text())
    assert len(table["errors"]["model.ts"]) == 8
    assert capsys.readouterr().out == f"files and errors.json: {out}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--formats", "ts,tflite"], "formats names tflite: pass some of ts, onnx, pt2"),
        (["--config_file", "nowhere.json"], "nowhere.json does not exist: pass --config_file"),
        (["--ckpt_path", "nowhere.pt"], "nowhere.pt do not exist"),
    ],
)
def test_what_cannot_be_exported_is_refused(words, message, tiny, foreign_directory, capsys):
    assert main(["export", "out", *tiny, *words]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("refused: ")
    assert message in shown
    assert not (foreign_directory / "out").exists()


def test_a_file_that_is_not_the_network_is_refused():
    network = TAT(**{name: value for name, value in TINY.items() if name != "_target_"}).eval()
    with pytest.raises(RefusedInputError, match="differs from the network by"):
        compare(lambda image: network(image) + 2e-4, network)
