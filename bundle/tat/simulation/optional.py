"""Late import of what only simulation or evaluation needs: inference runs without it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_optional(name: str, *, extra: str = "simulation") -> Any:
    """Import a module of an optional package.

    Args:
        name: the module, such as ``astra`` or ``scipy.ndimage``.
        extra: the extra of the distribution that installs it.

    Returns:
        The module.

    Raises:
        ImportError: it is not installed; the message names the remedy.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f'{extra} needs {name}: pip install "tat-medical-image-restoration[{extra}]"') from error
