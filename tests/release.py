"""The bundle as others get it: a repository of its own with one commit, and the zip that is made from it."""

import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "release" / "package.py"))
NAME: str = SCRIPT["NAME"]
# Commits must not depend on who runs the tests.
IDENTITY = {f"GIT_{who}_{what}": "tests" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(repository: Path, *arguments: str, **environment: str) -> str:
    command = ["git", "-c", "core.autocrlf=false", *arguments]
    variables = {**os.environ, **IDENTITY, **environment}
    return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True, env=variables).stdout  # noqa: S603


def commit_bundle(repository: Path) -> Path:
    """Commit what the working tree holds of the bundle, so that a fault is found before it is committed for good."""
    for name in (*SCRIPT["CONTENT"], "scripts/release/package.py", ".gitignore"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, repository / name)
    git(repository, "init", "--quiet")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "bundle")
    return repository


def run_package(repository: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(repository / "scripts" / "release" / "package.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603


def build_package(repository: Path, *arguments: str) -> Path:
    """Folder with the release's files."""
    done = run_package(repository, *arguments)
    assert done.returncode == 0, done.stderr
    return repository / "build" / "package"


def unpack(package: Path, folder: Path) -> Path:
    """Root of the unpacked bundle."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder / NAME
