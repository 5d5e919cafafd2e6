"""Inputs of a diagnosis of trained networks: samples of every task, the networks, the trained loss."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from bundle.tat.handlers.weights_loader import load_weights
from bundle.tat.networks import TAT
from bundle.tat.networks.strict_loading import check_fit
from bundle.tat.refusal import RefusedInputError

Batch = Mapping[str, Any]


@dataclass(frozen=True)
class TaskSamples:
    """Batches that hold samples of every task.

    Args:
        batches: from the training data pipeline; ``image`` and ``label`` ``(B, C, H, W)``, ``modality`` of each sample.
        n_scans: task -> number of scans that its samples are drawn from.
    """

    batches: list[Batch]
    n_scans: Mapping[str, int]


def read_configs(files: Sequence[Path], **overrides: Any) -> ConfigParser:
    """Read a config and its overlays, without building anything.

    Args:
        files: JSON files; each overrides those before it.
        **overrides: config ids and their values.

    Returns:
        The parser, which gives parts by their id.

    Raises:
        RefusedInputError: a file does not exist or is no config.
    """
    parser = ConfigParser()
    try:
        parser.read_config([str(file) for file in files])
    except (OSError, ValueError) as error:
        raise RefusedInputError(
            f"cannot read the configs {', '.join(map(str, files))} ({error}): pass JSON configs of a training"
        ) from error
    parser.update(overrides)
    return parser


def draw_samples(parser: ConfigParser, n_batches: int) -> TaskSamples:
    """Draw the batches that training with these configs would see first.

    Args:
        parser: training configs.
        n_batches: number of batches, at least 2.

    Returns:
        The batches.

    Raises:
        RefusedInputError: fewer than two batches or two tasks.
    """
    if n_batches < 2:
        raise RefusedInputError(f"n_batches is {n_batches}: pass 2 or more, to measure how much batches differ")
    n_scans = Counter(str(item["modality"]) for item in parser.get_parsed_content("train#datalist"))
    if len(n_scans) < 2:
        tasks = ", ".join(n_scans) or "nothing"
        raise RefusedInputError(f"the training data hold {tasks}: pass data of at least two tasks, to compare them")
    return TaskSamples(list(islice(parser.get_parsed_content("train#dataloader"), n_batches)), dict(n_scans))


def read_network(parser: ConfigParser, weights: Path) -> TAT:
    """Build the configs' network and load its weights.

    Args:
        parser: training configs.
        weights: flat state dict.

    Returns:
        The network, on its device.

    Raises:
        RefusedInputError: the weights are missing, damaged, or of another architecture.
    """
    if not weights.is_file():
        raise RefusedInputError(f"weights {weights} do not exist: pass the model.pt of a training")
    network: TAT = parser.get_parsed_content("network")
    load_weights(network, str(weights))
    return network


def read_loss(parser: ConfigParser, checkpoint: Path | None) -> nn.Module:
    """Build the configs' loss, as it was after training.

    Args:
        parser: training configs.
        checkpoint: ``checkpoint.pt`` of the training; without it the loss is untrained and weighs all samples equally.

    Returns:
        The loss, on its device.

    Raises:
        RefusedInputError: the checkpoint cannot be read, or holds another loss.
    """
    loss: nn.Module = parser.get_parsed_content("loss")
    if checkpoint is None:
        return loss
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["objects"]["loss"]
        check_fit(loss.state_dict(), state, f"weights {checkpoint}")
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, TypeError, KeyError) as error:
        kind = type(loss).__name__
        raise RefusedInputError(
            f"{checkpoint} holds no {kind}: pass the checkpoint.pt of a training with these configs"
        ) from error
    loss.load_state_dict(state)
    return loss


def samples_of(batch: Batch, task: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Image and label of one task's samples of a batch, ``(B, C, H, W)`` each.

    Args:
        batch: samples of any tasks.
        task: one of its ``modality``.
        device: device of the result.
    """
    places = [place for place, name in enumerate(batch["modality"]) if name == task]
    return batch["image"][places].to(device), batch["label"][places].to(device)
