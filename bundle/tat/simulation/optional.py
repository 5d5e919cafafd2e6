"""Late import of what only simulation needs: inference runs without it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_optional(name: str) -> Any:
    """Import a module of the optional packages ``simulation``.

    Args:
        name: the module, such as ``astra`` or ``scipy.ndimage``.

    Returns:
        The module.

    Raises:
        ImportError: it is not installed; the message names the remedy.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f'simulation needs {name}: pip install "tat-medical-image-restoration[simulation]"'
        ) from error
