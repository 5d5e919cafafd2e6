"""What the log contains of an error of the program."""

from __future__ import annotations

import traceback
from pathlib import Path


def place_of(error: BaseException) -> str:
    """The kind and the place of an error of the program, without its message, which may quote a patient's values.

    Args:
        error: what was raised.

    Returns:
        Its kind, and the file, line and function.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}, {frames[-1].name}" if frames else ""
    return f"{type(error).__name__}{where}"
