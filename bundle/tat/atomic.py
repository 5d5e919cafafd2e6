"""Writing files and folders whole or not at all."""

import contextlib
import errno
import json
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bundle.tat.refusal import RefusedInputError

# Errors of a rename when another process put its own result in place, or removed it, just before.
_RACES: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
# After this many races something else is wrong.
_N_ATTEMPTS: Final = 10


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and make it the real file when all is written and on the disk.

    A reader of ``path`` sees the old file or the new one, never half of it, even when the process is killed.

    Args:
        path: file to write; its folder is made, an older file is replaced.

    Yields:
        A path in the same folder and with the same suffix; it is removed when writing fails.

    Raises:
        RefusedInputError: the file system does not let us.
    """
    temporary = path.with_name(f".{os.getpid()}_{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise RefusedInputError(f"cannot write {path}: {error.strerror or error}") from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; ends of lines stay as they are.

    Args:
        path: file to write; its folder is made, an older file is replaced.
        text: what to write.

    Raises:
        RefusedInputError: the file system does not let us.
    """
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, content: Mapping[str, object] | Sequence[object]) -> None:
    """Write strict JSON, whole or not at all: a NaN is an error, not a word that other readers do not know.

    Args:
        path: file to write; its folder is made, an older file is replaced.
        content: what to write.

    Raises:
        RefusedInputError: the file system does not let us.
        ValueError: a number is not finite.
    """
    write_text(path, json.dumps(content, indent=4, allow_nan=False) + "\n")


@contextlib.contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary folder to write to, and make it the real one when all is written and on the disk.

    A reader of ``path`` sees all of the old folder or all of the new one. For an instant there is neither, since a
    folder with files in it cannot be replaced in one step. A process that is killed leaves a hidden folder; the next
    process that finishes ``path`` on the same machine removes it. If several processes write one folder, the last one's
    whole folder stays.

    Args:
        path: folder to write; its parents are made. An older folder is replaced, with everything in it.

    Yields:
        A hidden, empty folder beside it; it is removed when writing fails.

    Raises:
        RefusedInputError: the file system does not let us, or ``path`` is a file or a link.
    """
    temporary = _hidden(path, "partial")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _flush(temporary)
        _put_in_place(temporary, path)
        _remove_abandoned(path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise RefusedInputError(f"cannot write {path}: {error.strerror or error}") from error
        raise


def _hidden(path: Path, state: str) -> Path:
    """A name beside ``path`` that no other call uses, with the number of the process that uses it."""
    return path.with_name(f".{path.name}.{state}-{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}")


def _flush(folder: Path) -> None:
    """Bring the files of a folder to the disk, and their names where the system can do that."""
    for path in (*folder.rglob("*"), folder):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        elif path.is_dir() and os.name == "posix":
            flush_folder(path)


def _put_in_place(whole: Path, path: Path) -> None:
    """Give a folder its final name. What is there steps aside first if it is a folder, and comes back on failure."""
    for _ in range(_N_ATTEMPTS):
        aside = _hidden(path, "replaced")
        try:
            if path.is_dir() and not path.is_symlink():
                path.rename(aside)
            whole.rename(path)
        except OSError as error:
            if aside.exists() and not path.exists():
                aside.rename(path)
            if error.errno not in _RACES:
                raise
            is_placed = False
        else:
            is_placed = True
        shutil.rmtree(aside, ignore_errors=True)
        if is_placed:
            return
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes of this machine left beside ``path``."""
    ours = f"-{platform.node()}-"
    for folder in path.parent.iterdir():
        if folder.name.startswith((f".{path.name}.partial-", f".{path.name}.replaced-")) and ours in folder.name:
            pid = folder.name.rsplit("-", 2)[1]
            if pid.isdecimal() and not _is_running(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    """Whether a process exists; where that cannot be asked without harm, yes."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it; the names of new ones are on the disk when the call returns.

    Args:
        path: folder; it may exist.
        mode: permissions of those that are made, before the process's mask.

    Raises:
        OSError: one cannot be made.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    for folder in reversed(missing):
        folder.mkdir(mode=mode, exist_ok=True)
        if os.name == "posix":
            flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk.

    Args:
        folder: existing folder.

    Raises:
        OSError: the system does not let us.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
