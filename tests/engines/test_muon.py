"""Muon for matrices beside AdamW: which parameter goes where, the size of updates, schedules and restarts."""

import copy
import weakref

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from bundle.tat.engines.muon import MuonWithAdamW, is_matrix
from bundle.tat.refusal import RefusedInputError
from tests.configs.conftest import content

pytestmark = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch before 2.9 has no Muon")


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 6, 3, padding=1)
        self.mix = nn.Conv2d(6, 12, 1)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.down = nn.Conv2d(12, 4, 3, padding=1)
        self.last = nn.Linear(4, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.down(torch.relu(self.depthwise(self.mix(self.embed(image)))))
        return self.last(features.mean((2, 3)))


MATRICES = {"mix.weight", "down.weight", "last.weight"}


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network()


def learn(network: nn.Module, optimiser: torch.optim.Optimizer, n_steps: int = 1) -> None:
    image = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    for _ in range(n_steps):
        optimiser.zero_grad()
        (network(image) - 1.0).square().mean().backward()
        optimiser.step()


def test_matrices_lead_from_channels_to_channels(network):
    assert {name for name, parameter in network.named_parameters() if is_matrix(parameter)} == MATRICES


def test_everything_but_matrices_is_updated_as_by_adamw(network):
    other = copy.deepcopy(network)
    learn(network, MuonWithAdamW(network.parameters(), 1e-2))
    learn(other, torch.optim.AdamW(other.parameters(), 1e-2, (0.9, 0.99)))
    for (name, ours), theirs in zip(network.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs) is (name not in MATRICES)


@pytest.mark.parametrize("name", sorted(MATRICES))
def test_updates_of_matrices_are_nearly_orthogonal_and_as_large_as_those_of_adamw(network, name):
    weight = network.get_parameter(name)
    before = weight.detach().clone()
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    MuonWithAdamW(network.parameters(), 1e-2, weight_decay=0.0).step()
    update = (weight.detach() - before).flatten(1)
    singular = torch.linalg.svdvals(update)
    assert singular.max() < 2.5 * singular.min()
    # Of an orthogonal matrix scaled to a root mean square of 0.2 along its longer side.
    n_short, n_long = sorted(update.shape)
    assert update.norm() == pytest.approx(0.2e-2 * (n_long * n_short) ** 0.5, rel=0.3)


def test_a_schedule_reaches_both(network):
    optimiser = MuonWithAdamW(network.parameters(), 1e-2)
    schedule = CosineAnnealingLR(optimiser, T_max=2)
    learn(network, optimiser)
    schedule.step()
    schedule.step()
    before = copy.deepcopy(network.state_dict())
    learn(network, optimiser)
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())


def test_a_restart_changes_nothing(network):
    optimiser = MuonWithAdamW(network.parameters(), 1e-2)
    learn(network, optimiser, 3)
    optimiser.param_groups[1]["lr"] = 5e-3
    other = copy.deepcopy(network)
    again = MuonWithAdamW(other.parameters(), 1.0)
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    assert [group["lr"] for group in again.param_groups] == [1e-2, 5e-3]
    learn(network, optimiser, 2)
    learn(other, again, 2)
    for ours, theirs in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_parameters_without_a_gradient_stay(network):
    network.mix.requires_grad_(False)
    before = network.mix.weight.clone()
    learn(network, MuonWithAdamW(network.parameters(), 1e-2), 2)
    assert torch.equal(network.mix.weight, before)


def test_weights_of_every_memory_format_learn_alike(network):
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    for each in (network, other):
        learn(each, MuonWithAdamW(each.parameters(), 1e-2), 3)
    for name, ours in network.named_parameters():
        torch.testing.assert_close(other.get_parameter(name), ours, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("layer", [nn.Linear(4, 3, bias=False), nn.BatchNorm1d(4)])
def test_a_network_may_have_matrices_alone_or_none(layer):
    before = copy.deepcopy(layer)
    optimiser = MuonWithAdamW(layer.parameters(), 1e-2)
    layer(torch.rand(5, 4)).square().sum().backward()
    optimiser.step()
    assert not any(torch.equal(ours, old) for ours, old in zip(layer.parameters(), before.parameters(), strict=True))


def test_gradients_are_freed_with_those_of_the_network(network):
    optimiser = MuonWithAdamW(network.parameters(), 1e-2)
    network(torch.rand(3, 1, 8, 8)).sum().backward()
    gradients = [weakref.ref(parameter.grad) for parameter in network.parameters()]
    optimiser.step()
    optimiser.zero_grad()
    assert not any(reference() is not None for reference in gradients)


def test_an_older_pytorch_is_refused(network, monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(RefusedInputError, match=r"has no Muon: install 2\.9 or newer, or use AdamW"):
        MuonWithAdamW(network.parameters())


def test_the_overlay_changes_the_optimiser_alone():
    assert content("muon.json").keys() - {"+configs"} == {"optimizer#_target_"}
