"""What the files about MONAI Deploy repeat is the same everywhere."""

import re
from importlib.metadata import requires
from pathlib import Path

from bundle.tat.version import VERSION
from tests.test_layout import ROOT

REQUIREMENTS = ROOT / "scripts" / "hosts" / "requirements" / "deploy.txt"
PACKAGE = ROOT / "scripts" / "hosts" / "deploy"


def pins(path: Path) -> dict[str, str]:
    lines = (line for line in path.read_text().splitlines() if not line.startswith("#"))
    return {re.sub("[-_.]+", "-", name).lower(): version for name, version in (line.split("==") for line in lines)}


def test_results_are_made_by_the_same_releases_as_elsewhere():
    ours, theirs = pins(REQUIREMENTS), pins(ROOT / "constraints.txt")
    shared = ours.keys() & theirs.keys()
    assert {"torch", "monai", "numpy", "pydicom", "itk", "simpleitk"} <= shared
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def test_the_package_has_what_the_bundle_needs():
    packaged = pins(PACKAGE / "requirements.txt")
    assert packaged.items() <= pins(REQUIREMENTS).items()
    needed = [line for line in requires("tat-medical-image-restoration") or [] if "extra ==" not in line]
    assert packaged.keys() == {re.split("[<>=!]", line)[0].lower() for line in needed}


def test_the_package_has_the_version_of_the_bundle():
    assert f"version: {VERSION}\n" in (PACKAGE / "app.yaml").read_text()
    assert f"--tag tat:{VERSION}" in (ROOT / "docs" / "how-to" / "monai-deploy.md").read_text()
