"""The part of the log that is shown to a person."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# The levels of these loggers are set while a verb runs.
_OWN: Final = "bundle.tat"
_ENGINES: Final = "ignite"
_MONAI: Final = "monai"
# It warns that no logging file is used, which is intended, and that overlays are in other folders, which is so.
_WORKFLOWS: Final = "monai.bundle.workflows"
# It logs the status of each case, which a terminal shows on the bar.
_CASES: Final = "bundle.tat.engines.restoration"


@contextmanager
def short_log(*, engines: bool) -> Iterator[None]:
    """Send warnings, and what this package logs, to stderr, one line each, and leave out the rest.

    Args:
        engines: also show what Ignite's engines log of epochs.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    levels = {"": logging.WARNING, _OWN: logging.INFO, _ENGINES: logging.INFO if engines else logging.WARNING}
    # MONAI's loggers have handlers and levels of their own.
    levels |= {name: logging.WARNING for name in logging.root.manager.loggerDict if name.startswith(f"{_MONAI}.")}
    levels[_WORKFLOWS] = logging.ERROR
    levels[_CASES] = logging.WARNING if sys.stderr.isatty() else logging.INFO
    before = {name: logging.getLogger(name).level for name in levels}
    logging.root.addHandler(handler)
    try:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        with warnings.catch_warnings():
            # MONAI says of every config that it runs code; these are the bundle's own.
            warnings.filterwarnings("ignore", message="parsing config_file", category=UserWarning)
            yield
    finally:
        logging.root.removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
