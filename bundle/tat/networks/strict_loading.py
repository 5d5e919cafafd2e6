"""Loading weights completely or refusing them, so that no part of a network stays random without a message."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from torch import Tensor, nn

from bundle.tat.refusal import RefusedInputError

# Number of parameters of each kind that a message names; it counts the others.
N_NAMES_SHOWN: Final = 3


class UnfitWeightsError(RefusedInputError, RuntimeError):
    """Weights that do not fit a network, or that are incomplete; a ``RuntimeError``, as PyTorch raises in this case."""


class StrictlyLoaded(nn.Module):
    """Base of networks whose ``load_state_dict`` accepts only an exact fit, also with ``strict=False``.

    MONAI's ``monai.bundle.load`` and MONAI Label load with ``strict=False``. Weights that do not fit would leave the
    network with its random weights. The check comes before anything is copied. It also works where the network is part
    of another module, such as a distributed module or an average. To load only some weights, load them into the
    submodules that they belong to.
    """

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        given = {name.removeprefix(prefix): value for name, value in state_dict.items() if name.startswith(prefix)}
        own = self.state_dict()
        network = type(self).__name__
        check_fit(own, given, f"the weights to load into {network}")
        refuse_own_tensors(own, given, network)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def check_fit(expected: Mapping[str, Any], given: Mapping[str, Any], what: str) -> None:
    """Refuse weights that differ from a network's in names or shapes; the message names the differences.

    Args:
        expected: state dict of the network.
        given: state dict to load.
        what: words for the weights, for the message.

    Raises:
        UnfitWeightsError: names or shapes differ.
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
    """Refuse a state dict that holds tensors of the network into which it is loaded.

    ``monai.networks.utils.copy_model_state``, which ``monai.bundle.load`` uses, replaces the fitting entries of the
    network's own state dict by those of the file. It loads the result, in which no name is missing.

    Args:
        own: state dict of the network.
        given: state dict to load.
        network: name of the network, for the message.

    Raises:
        UnfitWeightsError: at least one tensor is the network's own.
    """
    kept = [name for name, value in given.items() if _share_memory(own[name], value)]
    if kept:
        raise UnfitWeightsError(
            f"{len(kept)} of {len(own)} weights of {network} would stay as they are ({_shown(kept)}). The file lacks "
            "them or has them in another shape: take the network of the config that the weights were made with "
            "(monai.bundle.load: workflow_type='inference') and a flat state dict"
        )


def _differ(one: Any, other: Any) -> bool:
    return isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape != other.shape


def _share_memory(one: Any, other: Any) -> bool:
    """Whether two plain tensors share their memory; tensors without memory and subclasses of tensors never do."""
    if type(one) is not Tensor or type(other) not in (Tensor, nn.Parameter):
        return False
    return one.device == other.device and one.data_ptr() == other.data_ptr() != 0


def _shown(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:N_NAMES_SHOWN]) + (", ..." if len(ordered) > N_NAMES_SHOWN else "")
