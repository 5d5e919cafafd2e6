"""Muon for the matrices of a network, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from bundle.tat.refusal import RefusedInputError

_ADAMW, _MUON = "adamw", "muon"
# Updates of a matrix get the size of AdamW's, so that one learning rate suits both.
_SIZE: Final = "match_rms_adamw"


def is_matrix(parameter: Tensor) -> bool:
    """Whether Muon updates a parameter: weights that lead from several channels to several others.

    Args:
        parameter: of any shape. Weights ``(C_out, C_in, kH, kW)`` of a convolution count as ``(C_out, C_in kH kW)``.

    Returns:
        ``False`` for biases, norms, factors and depthwise kernels.
    """
    return parameter.ndim >= 2 and parameter.shape[0] > 1 and parameter.shape[1] > 1


class MuonWithAdamW(Optimizer):
    """Updates matrices by PyTorch's Muon and all other parameters by AdamW, with one learning rate.

    Muon replaces the momentum of a matrix by the nearest orthogonal one. PyTorch's takes matrices alone, so
    weights of convolutions are copied into matrices, and back after each step. They may have any memory format.

    Args:
        params: parameters to update.
        lr: learning rate at the start.
        betas: of AdamW.
        momentum: of Muon.
        weight_decay: of both.

    Raises:
        RefusedInputError: this PyTorch has no Muon.

    Source:
        Jordan et al. 2024, https://kellerjordan.github.io/posts/muon. Size of updates: Liu et al. 2025,
        arXiv:2502.16982.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.99),
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise RefusedInputError(f"PyTorch {torch.__version__} has no Muon: install 2.9 or newer, or use AdamW")
        parameters = list(params)
        others = [parameter for parameter in parameters if not is_matrix(parameter)]
        self._weights = [parameter for parameter in parameters if is_matrix(parameter)]
        super().__init__([{"params": others}, {"params": self._weights}], {"lr": lr})
        self._matrices = [weight.detach().flatten(1).clone() for weight in self._weights]
        self._adamw = AdamW([{"params": others}], lr, betas, weight_decay=weight_decay)
        self._muon = torch.optim.Muon(
            [{"params": self._matrices}], lr, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn=_SIZE
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Args:
            closure: computes the loss anew, as for other optimisers.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.copy_(weight.flatten(1))
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        for optimiser, group in zip((self._adamw, self._muon), self.param_groups, strict=True):
            optimiser.param_groups[0]["lr"] = group["lr"]
            optimiser.step()
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            weight.copy_(matrix.view_as(weight))
            matrix.grad = None  # the network's gradients are freed by zero_grad
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Learning rates, and the states of both."""
        return {**super().state_dict(), _ADAMW: self._adamw.state_dict(), _MUON: self._muon.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken.

        Args:
            state_dict: of an optimiser of the same parameters.
        """
        super().load_state_dict({name: state_dict[name] for name in ("state", "param_groups")})
        self._adamw.load_state_dict(state_dict[_ADAMW])
        self._muon.load_state_dict(state_dict[_MUON])
