"""Replaces setuptools while pip downloads a source archive, so that no code of the archive is run.

pip asks the setup of every source archive for the package's name and version, even if it only downloads it. This module
answers from the archive's own PKG-INFO. ``download.py`` copies it to the place of ``setuptools.build_meta``.
"""

import sys
from email import message_from_string
from pathlib import Path

__legacy__ = sys.modules[__name__]  # what pip calls for an archive without a pyproject.toml (PEP 517)


def prepare_metadata_for_build_wheel(directory: str, _settings: object = None) -> str:
    """Write the metadata of the archive that is unpacked in the working directory (PEP 517), and name their folder."""
    text = Path("PKG-INFO").read_text(encoding="utf-8")
    told = message_from_string(text)
    folder = Path(directory, f"{told['Name']}-{told['Version']}.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text(text, encoding="utf-8")
    return folder.name
