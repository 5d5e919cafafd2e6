"""Writing a picture, completely or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bundle.tat.atomic import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, completely or not at all.

    Args:
        figure: of Matplotlib.
        path: file to write; its folder is made, an older file is replaced.

    Raises:
        RefusedInputError: the file cannot be written.
    """
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png")
