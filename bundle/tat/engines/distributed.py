"""Training on several devices, started by ``torchrun``."""

import torch
import torch.distributed as dist
from torch import nn

from bundle.tat.devices import launched_rank, local_device


def join_ranks() -> None:
    """Join the other ranks: over NCCL with GPUs, over Gloo on CPUs. Does nothing when they are joined already.

    Raises:
        RefusedInputError: the process was not started by ``torchrun``.
    """
    if dist.is_initialized():
        return
    launched_rank()
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(local_device())


def leave_ranks() -> None:
    """Leave the other ranks; undoes ``join_ranks``."""
    dist.destroy_process_group()


def synchronised(module: nn.Module) -> nn.Module:
    """A module whose gradients are averaged over the ranks; one without parameters is itself.

    Args:
        module: network or loss, on this rank's device.
    """
    if not any(parameter.requires_grad for parameter in module.parameters()):
        return module
    return nn.parallel.DistributedDataParallel(module)
