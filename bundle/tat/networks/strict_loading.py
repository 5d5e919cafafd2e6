"""Weights that are loaded whole or refused, so that no loader leaves part of a network random without a word."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from torch import Tensor, nn

from bundle.tat.refusal import RefusedInputError

# A message names this many parameters of each kind and counts the rest.
N_NAMES_SHOWN: Final = 3


class UnfitWeightsError(RefusedInputError, RuntimeError):
    """Weights that are not a network's, or not all of them; a ``RuntimeError``, as PyTorch raises for the same."""


class StrictlyLoaded(nn.Module):
    """Base of networks whose ``load_state_dict`` takes an exact fit or nothing, whatever ``strict`` says.

    MONAI's ``monai.bundle.load`` and MONAI Label load without being strict: weights that do not fit would leave the
    network as random as it was made. The check comes before anything is copied. It also holds where the network is
    part of another module, such as a distributed one or an average. To take over only some weights on purpose, load
    them into the submodules that they are for.
    """

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        given = {name.removeprefix(prefix): value for name, value in state_dict.items() if name.startswith(prefix)}
        own = self.state_dict()
        network = type(self).__name__
        check_fit(own, given, f"the weights to load into {network}")
        refuse_own_tensors(own, given, network)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def check_fit(expected: Mapping[str, Any], given: Mapping[str, Any], what: str) -> None:
    """Refuse weights that differ from a network's in names or shapes, saying in what.

    Args:
        expected: the network's state dict.
        given: the one to load.
        what: the weights, for the message.

    Raises:
        UnfitWeightsError: they differ.
    """
    differences = {
        "missing": expected.keys() - given.keys(),
        "unexpected": given.keys() - expected.keys(),
        "of another shape": {name for name in expected.keys() & given.keys() if _differ(expected[name], given[name])},
    }
    found = [f"{len(names)} {kind} ({_shown(names)})" for kind, names in differences.items() if names]
    if found:
        raise UnfitWeightsError(f"{what} are of another architecture than the network: {'; '.join(found)}")


def refuse_own_tensors(own: Mapping[str, Any], given: Mapping[str, Any], network: str) -> None:
    """Refuse a state dict that was filled up with the tensors of the very network it is to be loaded into.

    ``monai.networks.utils.copy_model_state``, which ``monai.bundle.load`` uses, replaces the fitting entries of the
    network's own state dict by those of the file, and loads the result: no name is missing from it.

    Args:
        own: the network's state dict.
        given: the one to load.
        network: the network's name, for the message.

    Raises:
        UnfitWeightsError: at least one tensor is the network's own.
    """
    kept = [name for name, value in given.items() if _share_memory(own[name], value)]
    if kept:
        raise UnfitWeightsError(
            f"{len(kept)} of {len(own)} weights of {network} would stay as they are ({_shown(kept)}), because the file "
            "lacks them or has them in another shape: take the network of the config that the weights were made with "
            "(monai.bundle.load: workflow_type='inference') and a flat state dict"
        )


def _differ(one: Any, other: Any) -> bool:
    return isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape != other.shape


def _share_memory(one: Any, other: Any) -> bool:
    """Whether two plain tensors are one; those without memory, and other kinds that wrap tensors, never are."""
    if type(one) is not Tensor or type(other) not in (Tensor, nn.Parameter):
        return False
    return one.device == other.device and one.data_ptr() == other.data_ptr() != 0


def _shown(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:N_NAMES_SHOWN]) + (", ..." if len(ordered) > N_NAMES_SHOWN else "")
