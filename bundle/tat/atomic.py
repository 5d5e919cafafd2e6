"""Writing files whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bundle.tat.refusal import RefusedInputError


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and make it the real file when all is written and on the disk.

    Whoever reads ``path`` sees the old file or the new one, never half of it, even when the process is killed.

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
