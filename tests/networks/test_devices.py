"""A step of training and inference on another device than the host, in which no tensor stays behind on the host.

PyTorch's ``meta`` device stands in for a GPU: it has shapes and types, no numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bundle.tat.losses import TaskAdaptiveLoss, task_balancing
from bundle.tat.networks import TAT
from tests.networks.test_tat import small


class LeftBehindError(AssertionError):
    """A tensor of the host took part in an operation."""


class OnOneDevice(TorchDispatchMode):
    """Refuses operations that a tensor of another device takes part in.

    Numbers in tensors without axes may lie on the host, on a GPU too. Copies to the device are what they are for.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.n_operations = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.n_operations += 1
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        # Checkpointing of PyTorch 2.8 makes an empty tensor on the CPU.
        devices = {tensor.device.type for tensor in tensors if tensor.dim() > 0 and tensor.numel() > 0}
        if devices - {self.device}:
            raise LeftBehindError(f"{func} saw tensors on {sorted(devices)}")
        return result


def on_meta(image: Tensor) -> Tensor:
    return torch.empty_like(image, device="meta")


@pytest.mark.parametrize("changes", [{}, {"max_memory": None}, {"gradient_checkpointing": True}])
def test_a_step_of_training_stays_on_its_device(changes, monkeypatch):
    # It asks for a number, of which there is none.
    monkeypatch.setattr(task_balancing, "assert_finite", lambda _: None)
    network, loss = small(**changes).to("meta").train(), TaskAdaptiveLoss().to("meta")
    image = on_meta(torch.empty(3, 1, 32, 32))
    optimizer = torch.optim.AdamW([*network.parameters(), *loss.parameters()])
    with OnOneDevice("meta") as watched:
        loss(image, network(image), torch.empty_like(image)).backward()
        optimizer.step()
    assert watched.n_operations > 1000
    assert all(parameter.grad is not None for parameter in [*network.parameters(), *loss.parameters()])


@pytest.mark.parametrize("size", [(1, 32, 32), (2, 72, 40)])
def test_inference_stays_on_its_device(size):
    network = small().to("meta")
    batch, height, width = size
    image = on_meta(torch.empty(batch, 1, height, width))
    with torch.inference_mode(), OnOneDevice("meta") as watched:
        assert network(image).shape == image.shape
    assert watched.n_operations > 100


def test_the_papers_network_stays_on_its_device():
    with torch.device("meta"):
        network = TAT().eval()
    image = on_meta(torch.empty(12, 1, 128, 128))
    with torch.inference_mode(), OnOneDevice("meta"):
        assert network(image).shape == image.shape


def test_a_tensor_that_stays_behind_is_found():
    with OnOneDevice("meta"), pytest.raises(LeftBehindError):
        torch.ones(3, 3) @ torch.ones(3, 3, device="meta")
