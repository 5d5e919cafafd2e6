"""What DCMTK encodes in other ways, and what it breaks off. Debian: ``apt-get install dcmtk``."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra node is not installed: pip install '.[node]'")

from tests.node.conftest import archive as archive  # the fixture
from tests.node.network import series, states
from tests.node.steps import Steps

PROGRAMS = ("storescu", "dcmcrle", "dcmcjpls", "dcmcjpeg")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        any(not shutil.which(name) for name in PROGRAMS), reason="DCMTK is not installed: apt-get install dcmtk"
    ),
]


def store(node: Steps, files: list[Path], *words: str) -> None:
    """Send files with ``storescu``; what is refused counts in the node."""
    command = ["storescu", "-aet", "CT1", "-aec", "TAT", *words, "127.0.0.1", str(node.port), *map(str, files)]
    subprocess.run(command, check=False, capture_output=True)  # noqa: S603


def encoded(files: list[Path], folder: Path, program: str, *words: str) -> list[Path]:
    """Files in another transfer syntax, under the UIDs that they have."""
    folder.mkdir()
    for file in files:
        subprocess.run([program, *words, str(file), str(folder / file.name)], check=True)  # noqa: S603
    return [folder / file.name for file in files]


def test_what_is_compressed_without_loss_is_the_same_and_with_loss_another(steps, tmp_path):
    node, files = steps(), series(tmp_path / "in", size=64)
    store(node, files)
    ways = {
        "-xi": files,
        "-xr": encoded(files, tmp_path / "rle", "dcmcrle"),
        "-xt": encoded(files, tmp_path / "jls", "dcmcjpls"),
        "-xs": encoded(files, tmp_path / "jpeg", "dcmcjpeg"),
    }
    for number, (word, encoded_files) in enumerate(ways.items(), start=1):
        store(node, encoded_files, word)
        assert node.node.counters["instances_repeated_total"] == 3 * number, word
    assert node.node.counters["instances_refused_total"] == 0
    store(node, encoded(files, tmp_path / "lossy", "dcmcjpls", "+en", "+un"), "-xu")
    assert node.node.counters["instances_refused_total"] >= 1
    assert node.node.counters["instances_received_total"] == 3
    node.complete()
    node.finish()
    assert node.copies.restored == [(1, 3)]


def test_an_abort_holds_a_series_until_it_comes_again(steps, tmp_path):
    node, files = steps(), series(tmp_path / "in")
    store(node, files[:2], "--abort")
    node.complete()
    assert states(node.queue) == ["incomplete"]
    store(node, files)
    node.complete()
    node.finish()
    assert states(node.queue) == ["done"]
    assert node.copies.restored == [(1, 3)]
