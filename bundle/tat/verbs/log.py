"""What of the log a person sees."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Of these, each level is set for as long as a verb is at work.
_OWN: Final = "bundle.tat"
_ENGINES: Final = "ignite"
_MONAI: Final = "monai"
# It warns that our logging is left alone, as asked, and that overlays lie in other folders, as they do.
_WORKFLOWS: Final = "monai.bundle.workflows"
# It tells what became of each case, which a terminal sees on the bar.
_CASES: Final = "bundle.tat.engines.restoration"


@contextmanager
def short_log(*, engines: bool) -> Iterator[None]:
    """Send warnings, and what this package tells, to stderr, one line each, and leave out the rest.

    Args:
        engines: show what Ignite's engines tell of epochs too.
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
