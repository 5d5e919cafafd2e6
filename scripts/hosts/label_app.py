"""Make an app for MONAI Label from this bundle: it restores scans, and trains the small network further.

Run the script with the Python of MONAI Label's environment:
``.venv-label/bin/python scripts/hosts/label_app.py --out ~/label/app``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from monai.bundle import ConfigParser

ROOT = Path(__file__).resolve().parents[2]
NAME = "tat_medical_image_restoration"
# MONAI Label's own app for bundles, in the folder in which its wheel installs it.
APP = Path(sys.prefix) / "monailabel" / "sample-apps" / "monaibundle"
# MONAI Label reads one file for each task, so the overlays must be in it. The shipped weights are of the small network.
MERGED = {
    "train.json": ("small.json", "monai_label.json"),
    "inference.json": ("monai_label_inference.json",),
}
PARTS = ("bundle", "configs", "models/model.pt", "models/calibration.json", "metadata.json", "LICENSE", "NOTICE")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the app; must not exist")
    out = parser.parse_args().out
    if not APP.is_dir():
        sys.exit(f"{APP} does not exist: run this with the Python of MONAI Label's environment, see make setup-label")
    if out.exists():
        sys.exit(f"{out} exists, and may hold weights of a training: pass another folder, or delete this one")
    shutil.copytree(APP, out)
    bundle = out / "model" / NAME
    for part in PARTS:
        # Weights that were not calibrated have no calibration.
        if (ROOT / part).exists() or part != "models/calibration.json":
            copy(ROOT / part, bundle / part)
    for name, overlays in MERGED.items():
        merged = ConfigParser.load_config_files([str(ROOT / "configs" / file) for file in (name, *overlays)])
        ConfigParser.export_config_file(merged, str(bundle / "configs" / name), indent=4)
    print(f"{out} is ready: docs/how-to/monai-label.md says how to start it")


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder without Python's caches."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
