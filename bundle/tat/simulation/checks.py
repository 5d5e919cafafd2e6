"""Checks of the parameters of all forward models."""

from __future__ import annotations

from bundle.tat.refusal import RefusedInputError


def check_interval(value: float, name: str, low: float, high: float) -> None:
    """Refuse a parameter outside the interval ``(low, high]``.

    Args:
        value: of the parameter.
        name: of the parameter, for the message.
        low: bound that ``value`` must exceed.
        high: bound that ``value`` may reach.

    Raises:
        RefusedInputError: ``value`` is NaN, not above ``low``, or above ``high``.
    """
    if not low < value <= high:
        raise RefusedInputError(f"{name} is {value}: pass a value above {low:g} and not above {high:g}")
