import logging
import pickle

import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn

from bundle.tat.handlers.weights_loader import load_weights
from bundle.tat.refusal import RefusedInputError
from tests.networks.test_tat import small
from tests.test_layout import ROOT


def network(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.Linear(width, 1))


def save(path, content) -> str:
    torch.save(content, path)
    return str(path)


def test_weights_are_loaded(tmp_path):
    source, target = network(), network()
    load_weights(target, save(tmp_path / "model.pt", source.state_dict()))
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))


def test_another_architecture_is_refused_and_nothing_is_loaded(tmp_path):
    target = network()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    other = {**network(4).state_dict(), "extra": torch.zeros(1)}
    del other["1.bias"]
    with pytest.raises(
        ValueError, match=r"1 missing \(1\.bias\); 1 unexpected \(extra\); 3 of another shape \(0\.bias"
    ):
        load_weights(target, save(tmp_path / "model.pt", other))
    assert all(torch.equal(before[name], value) for name, value in target.state_dict().items())


class Exploit:
    def __reduce__(self):
        return (print, ("code was run",))


@pytest.mark.parametrize(
    "content", [{"network": network().state_dict()}, [1, 2], torch.zeros(3)], ids=["nested", "list", "tensor"]
)
def test_what_is_no_flat_state_dict_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match="not a flat state dict"):
        load_weights(network(), save(tmp_path / "model.pt", content))


def test_code_in_a_weights_file_is_not_run(tmp_path, capsys):
    with pytest.raises(ValueError, match="damaged or holds more than tensors"):
        load_weights(network(), save(tmp_path / "model.pt", {"0.weight": Exploit()}))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps({"a": 1})], ids=["empty", "text", "pickle"])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.pt"):
        load_weights(network(), str(tmp_path / "model.pt"))


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="do not exist: pass the path of an existing file"):
        load_weights(network(), str(tmp_path / "model.pt"))


@pytest.mark.parametrize(
    ("given", "wanted", "advice"),
    [
        (["train.json", "small.json"], ["train.json"], "the small network: add configs/small.json"),
        (["train.json"], ["train.json", "small.json"], "the paper's network: leave configs/small.json out"),
    ],
)
def test_weights_of_the_other_network_are_told_as_that(tmp_path, given, wanted, advice):
    source, target = (network_of(configs) for configs in (given, wanted))
    with pytest.raises(RefusedInputError, match=advice):
        load_weights(target, save(tmp_path / "model.pt", source.state_dict()))


def network_of(configs: list[str]) -> nn.Module:
    parser = ConfigParser()
    parser.read_config([str(ROOT / "configs" / name) for name in configs])
    return parser.get_parsed_content("network_def")


def test_weights_of_fewer_slices_start_a_training_and_say_so(tmp_path, caplog):
    source, target = small(), small(in_channels=3)
    path = save(tmp_path / "model.pt", source.state_dict())
    with caplog.at_level(logging.INFO):
        load_weights(target, path, may_grow=True)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "take 1 slices together, the network 3" in line
    assert torch.equal(target.embed.weight[:, 1], source.embed.weight[:, 0])
    assert not target.embed.weight[:, [0, 2]].any()


def test_weights_that_fit_are_not_grown(tmp_path, caplog):
    source, target = small(in_channels=3), small(in_channels=3)
    with caplog.at_level(logging.INFO):
        load_weights(target, save(tmp_path / "model.pt", source.state_dict()), may_grow=True)
    assert torch.equal(target.embed.weight, source.embed.weight)
    assert not caplog.records


@pytest.mark.parametrize(("given", "wanted", "may_grow"), [(1, 3, False), (3, 1, False), (3, 1, True)])
def test_elsewhere_weights_of_another_number_of_slices_are_refused(tmp_path, given, wanted, may_grow):
    source, target = (small(in_channels=number) for number in (given, wanted))
    advice = f"take {given} slices together, the network {wanted}: pass --network_def#in_channels {given}"
    with pytest.raises(RefusedInputError, match=advice):
        load_weights(target, save(tmp_path / "model.pt", source.state_dict()), may_grow=may_grow)
