"""Where a network runs: the devices of this machine, and the form that suits each."""

import os
from typing import Final, NamedTuple

import torch
from torch import nn

from bundle.tat.networks.restormer import TransformerBlock
from bundle.tat.networks.stage import Stage
from bundle.tat.refusal import RefusedInputError

# A graph serves blocks of the same width, heads and kernels on maps of the same layout of TLC windows: seven for one
# size of image. PyTorch's limit of 8 would leave the blocks uncompiled from the second size on.
MAX_GRAPHS: Final = 64


class LaunchedRank(NamedTuple):
    """This process among those that ``torchrun`` started.

    Args:
        rank: its number, from 0.
        n_ranks: how many there are.
    """

    rank: int
    n_ranks: int


def launched_rank() -> LaunchedRank:
    """Which of the processes of ``torchrun`` this one is.

    Raises:
        RefusedInputError: the process was not started by ``torchrun``.
    """
    if "RANK" not in os.environ:
        raise RefusedInputError(
            "RANK is not set: start several processes with torchrun --nproc_per_node N -m monai.bundle run ..."
        )
    return LaunchedRank(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


def local_device() -> str:
    """This rank's own device: ``cuda:<local rank>``, or ``cpu`` without GPUs."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def slice_workers(workers: int | None, *, device: str | torch.device, compile_blocks: bool = False) -> int | None:
    """How many workers restore slices side by side.

    Args:
        workers: the user's number; ``None`` for as many as PyTorch has threads.
        device: where the network is.
        compile_blocks: whether its blocks are compiled, which one thread has to do.

    Returns:
        ``workers`` on a CPU. 1 on other devices, where slices are restored in batches.
    """
    return workers if torch.device(device).type == "cpu" and not compile_blocks else 1


def prepare_network(
    network: nn.Module,
    device: str | torch.device,
    *,
    channels_last: bool = False,
    compile_blocks: bool = False,
    compile_mode: str = "default",
) -> nn.Module:
    """Move a network to a device.

    Args:
        network: the network, changed in place.
        device: where it goes.
        channels_last: keep the channels of a pixel side by side, as tensor cores want them.
        compile_blocks: compile the transformer blocks, not the whole network: blocks of one level share a graph.
            PyTorch keeps what it compiled on disk for the next start.
        compile_mode: of ``torch.compile``; ``reduce-overhead`` records CUDA graphs.

    Returns:
        The network itself; the names of its parameters stay as they are.

    Raises:
        RefusedInputError: blocks are to be compiled on a CPU, where they are evaluated in strips, or there are none.
    """
    network.to(device)
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compile_blocks:
        blocks = [module for module in network.modules() if isinstance(module, TransformerBlock)]
        if not blocks:
            raise RefusedInputError(
                f"compile is true, but {type(network).__name__} has no transformer blocks: leave compile out"
            )
        if torch.device(device).type == "cpu" and any(map(_is_in_strips, network.modules())):
            raise RefusedInputError(
                "compile is true, but on a CPU blocks are evaluated in strips, which is faster: leave compile out, "
                "or pass --network_def#max_memory '$None' to evaluate blocks whole"
            )
        # Dynamo is imported by those who use it alone: it takes seconds.
        from torch._dynamo import config

        config.recompile_limit = max(config.recompile_limit, MAX_GRAPHS)
        for block in blocks:
            block.compile(mode=compile_mode)
    return network


def _is_in_strips(module: nn.Module) -> bool:
    return isinstance(module, Stage) and module.max_memory is not None
