"""Loading weights, all of them or none."""

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn

from bundle.tat.networks.context import count_input_channels, grow_context
from bundle.tat.networks.strict_loading import UnfitWeightsError, check_fit
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

# The two networks that configs of this bundle make, by their number of parameters, and the remedy for a user who has
# weights of one and the config of another.
KNOWN_NETWORKS: Final = MappingProxyType(
    {
        1_783_635: "these weights are of the small network: add configs/small.json",
        41_687_424: "these weights are of the paper's network: leave configs/small.json out (tat: --full)",
    }
)


class WeightsLoader:
    """Handler that loads a flat state dict into the network when a run starts.

    Args:
        path: weights file, read with ``weights_only=True``.
        network: network that the weights must fit exactly.
        may_grow: see ``load_weights``; for training alone.
    """

    def __init__(self, path: str, network: nn.Module, *, may_grow: bool = False) -> None:
        self.path = path
        self.network = network
        self.may_grow = may_grow

    def attach(self, engine: Engine) -> None:
        """Load when ``engine`` starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, _: Engine) -> None:
        """Load the weights."""
        load_weights(self.network, self.path, may_grow=self.may_grow)


def load_weights(network: nn.Module, path: str, *, may_grow: bool = False) -> None:
    """Load a state dict into a network, refusing anything but an exact fit.

    Args:
        network: network to load into.
        path: file that ``torch.save`` wrote, a state dict and nothing else.
        may_grow: accept weights of a network that takes fewer neighbouring slices, see ``grow_context``; it is logged.

    Raises:
        RefusedInputError: the file is missing, damaged, no plain state dict, or of another architecture.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise RefusedInputError(f"weights {file} do not exist: pass the path of an existing file")
    try:
        state_dict = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise RefusedInputError(
            f"weights {file} cannot be read, the file is damaged or holds more than tensors: pass a state dict that "
            "torch.save wrote"
        ) from error
    if not isinstance(state_dict, Mapping) or not all(isinstance(value, Tensor) for value in state_dict.values()):
        raise RefusedInputError(f"weights {file} are not a flat state dict of tensors: pass a model.pt")
    if may_grow:
        state_dict = _grow(state_dict, network, file)
    try:
        check_fit(network.state_dict(), state_dict, f"weights {file}")
    except UnfitWeightsError as error:
        advice = _advise(state_dict, network)
        raise UnfitWeightsError(f"{advice}; {error}" if advice else str(error)) from error
    network.load_state_dict(state_dict)


def _grow(weights: Mapping[str, Tensor], network: nn.Module, file: Path) -> Mapping[str, Tensor]:
    """Weights for a network that takes more neighbouring slices, where it does."""
    given, wanted = (count_input_channels(some) for some in (weights, network.state_dict()))
    if given is None or wanted is None or given >= wanted or (wanted - given) % 2:
        return weights
    logger.info(
        "weights %s take %d slices together, the network %d: the weights of the other slices start at 0",
        *(file, given, wanted),
    )
    return grow_context(weights, wanted)


def _advise(weights: Mapping[str, Tensor], network: nn.Module) -> str | None:
    """The remedy for a user who has weights of another network, if it is known."""
    given, wanted = (count_input_channels(some) for some in (weights, network.state_dict()))
    if given is not None and wanted is not None and given != wanted:
        return (
            f"these weights take {given} slices together, the network {wanted}: pass --network_def#in_channels {given}"
        )
    return KNOWN_NETWORKS.get(sum(value.numel() for value in weights.values()))
