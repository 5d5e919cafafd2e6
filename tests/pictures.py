"""What pictures hold: those on the disk, and those that a figure would be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def read_picture(path: Path) -> np.ndarray:
    """Pixels of a PNG ``(H, W, 3)``."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def draw_figure(figure: Figure) -> np.ndarray:
    """Pixels of a figure that was not drawn before ``(H, W, 3)``: drawn twice, its layout moves a little."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
