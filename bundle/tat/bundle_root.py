"""Where the bundle lies, so that its configs run from any working directory."""

import sys
from pathlib import Path


def find_bundle_root() -> str:
    """The folder that holds the bundle's ``configs`` and ``models``.

    That is where this package lies, when it runs from a checkout, an unpacked zip or an editable install. When it was
    copied into the environment instead, it is the folder whose config is being run: ``monai.bundle run`` puts that
    folder on ``sys.path``.

    Returns:
        Absolute path; ``.`` when no such folder is found.
    """
    for entry in (Path(__file__).parents[2], *map(Path, sys.path)):
        if (entry / "configs" / "inference.json").is_file() and (entry / "bundle" / "tat").is_dir():
            return str(entry.absolute())
    return "."
