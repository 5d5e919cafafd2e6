"""Make the environment of MONAI Label, which cannot share the project's: it needs NumPy 1 and pydicom 2."""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements" / "label.txt"

# MONAI Label imports torchvision, whose wheel on PyPI is built for CUDA. With a torch without CUDA its compiled part
# cannot be loaded, and its Python part then stops at an undeclared operator. Its functions for pictures need only two
# declarations. They are made when torchvision is first imported and not earlier, because importing torch would delay
# every start of this Python by some seconds.
SHIM = '''"""Declares the operators of torchvision where its compiled part, which declares them, cannot be loaded."""

import sys
from importlib.abc import MetaPathFinder

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
libraries = []  # a declaration lasts as long as its library


class BeforeTorchvision(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision" and not libraries:
            import torch

            libraries.append(torch.library.Library("torchvision", "DEF"))
            for operator in ("nms", "qnms"):
                libraries[0].define(operator + SCHEMA)
        return None  # the module itself is found as usual


sys.meta_path.insert(0, BeforeTorchvision())
'''


def main() -> None:
    """Make the environment, or update it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the environment, such as .venv-label")
    folder = parser.parse_args().folder
    if sys.version_info[:2] != (3, 11):
        # 3.12 has no distutils, which MONAI Label imports; the pinned scipy and scikit-image need 3.11.
        sys.exit("MONAI Label 0.8.5 with these packages needs Python 3.11: make setup-label PYTHON=python3.11")
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    # torch first and with what it needs, because that differs: libraries of CUDA, or none.
    (torch,) = (line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if line.startswith("torch=="))
    install(python, torch)
    install(python, "--no-deps", "--requirement", str(REQUIREMENTS))
    if not imports(python, "torchvision"):
        packages = next(folder.glob("lib/python*/site-packages"))
        (packages / "torchvision_operators.py").write_text(SHIM, encoding="utf-8")
        (packages / "torchvision_operators.pth").write_text("import torchvision_operators\n", encoding="utf-8")
    if not imports(python, "torchvision.utils, monailabel.tasks.infer.bundle"):
        sys.exit(f"MONAI Label cannot be imported: {python} -c 'import monailabel.tasks.infer.bundle' says why")


def install(python: Path, *what: str) -> None:
    """Install with pip; ends the program when it fails."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"pip could not install: {' '.join(what)}")


def imports(python: Path, modules: str) -> bool:
    """Whether Python can import the modules."""
    return subprocess.run([str(python), "-c", f"import {modules}"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
