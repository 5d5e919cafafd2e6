"""What lies below a folder that is searched for scans."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from bundle.tat.refusal import RefusedInputError

# The file that marks the root of a BIDS data set, and the folders in it that are not its raw data.
BIDS_ROOT_FILE: Final = "dataset_description.json"
BIDS_OTHER_DATA: Final = frozenset({"derivatives", "sourcedata"})


class Walked(NamedTuple):
    """What a walk found.

    Args:
        files: regular files and links to them, in the order of their paths.
        dangling: links whose file is not there.
        left_out: folders that were not entered, and why.
    """

    files: list[Path]
    dangling: list[Path]
    left_out: list[tuple[Path, str]]


def walk(folder: Path) -> Walked:
    """List the files below a folder, in one walk that holds nothing but their names.

    Hidden files and folders are left out: Apple's systems keep notes under such names, servers old copies, and
    git-annex its store. Links to folders may lead in circles and are not followed. Of a BIDS data set, the folders for
    derivatives and source data are not entered, unless one of them is ``folder`` itself.

    Args:
        folder: existing folder.

    Returns:
        What is there. Pipes, sockets and devices are not.

    Raises:
        RefusedInputError: the folder itself cannot be opened.
    """
    found = Walked([], [], [])
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(parent) as listed:
                entries = [entry for entry in listed if not entry.name.startswith(".")]
        except OSError as error:
            if parent == folder:
                raise RefusedInputError(f"{folder} cannot be opened: {error.strerror or error}") from error
            found.left_out.append((parent, f"it cannot be opened: {error.strerror or error}"))
            continue
        waiting += _sort_entries(entries, found)
    for paths in found:
        paths.sort()
    return found


def _sort_entries(entries: list[os.DirEntry[str]], found: Walked) -> list[Path]:
    """Put the entries of one folder where they belong; those to be entered are returned."""
    is_bids_root = any(entry.name == BIDS_ROOT_FILE for entry in entries)
    inner = []
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if is_bids_root and entry.name in BIDS_OTHER_DATA:
                found.left_out.append((path, f"{entry.name} of a BIDS data set, not its raw data: pass it by itself"))
            else:
                inner.append(path)
        elif entry.is_dir():
            found.left_out.append((path, "a link to a folder is not followed: pass it by itself"))
        elif entry.is_file():
            found.files.append(path)
        elif entry.is_symlink() and not path.exists():
            found.dangling.append(path)
    return inner


def check_there(path: Path) -> None:
    """Refuse a path that does not exist.

    Args:
        path: of a scan.

    Raises:
        RefusedInputError: it does not exist, or is a link to what does not.
    """
    if path.is_symlink() and not path.exists():
        raise RefusedInputError(
            f"{path} is a link to a file that is not there: fetch its content (git-annex: git annex get)"
        )
    if not path.exists():
        raise RefusedInputError(f"{path} does not exist: check the path")
