"""``tat serve`` with other programs: senders and receivers of DCMTK, and the archive Orthanc.

Debian: ``apt-get install orthanc dcmtk iproute2``. Orthanc listens on every address, so it and the node run in a
network namespace of their own, which takes root.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pydicom
import pytest

pytest.importorskip("pynetdicom", reason="the extra node is not installed: pip install '.[node]'")

from tests.configs.conftest import weights  # noqa: F401 - the fixture
from tests.dicom_sources import stored_values, write_source
from tests.integration.node.process import LONG, free_port, jobs, listens, poll
from tests.integration.test_pacs import IN_A_NAMESPACE, START_ORTHANC, why_not

pytestmark = pytest.mark.integration
DCMTK = ("echoscu", "storescu", "storescp")
# The node finds what these tests have found.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
KINDS = ("CT", "MR", "PT")


def of_study(folder: Path, number: int, modality: str, n_slices: int = 3) -> list[Path]:
    """A series with a study of its own."""

    def change(image: pydicom.Dataset, index: int) -> None:
        image.StudyInstanceUID, image.SeriesInstanceUID = f"1.2.9.{number}", f"1.2.9.{number}.1"
        image.SOPInstanceUID = f"1.2.9.{number}.1.{index + 1}"

    return write_source(folder, stored_values(modality, n_slices, 24, 32), modality, change=change)


def serve(folder: Path, port: int, to: str, weights: Path, *words: str) -> list[str]:  # noqa: F811
    """The command, with a network that is not trained."""
    return [
        *(sys.executable, "-m", "bundle.tat", "serve", "--ae-title", "TAT", "--port", str(port), "--send-to", to),
        *("--folder", str(folder), "--ckpt_path", str(weights), "--device", "cpu", "--min_free", "1"),
        *("--any_resolution", "--quiet", "2", "--once", *words),
    ]


def run(*command: str | Path, code: int = 0) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == code, done.stdout + done.stderr


@pytest.fixture
def archive(tmp_path):
    """``storescp``: its port, and the folder of what it gets."""
    missing = [program for program in DCMTK if not shutil.which(program)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install dcmtk")
    folder, port = tmp_path / "archive", free_port()
    folder.mkdir()
    with subprocess.Popen(["storescp", "-aet", "ARCHIVE", "-od", str(folder), str(port)]) as program:  # noqa: S603, S607
        yield port, folder
        program.terminate()


def test_senders_and_receivers_of_dcmtk(tmp_path, weights, archive):  # noqa: F811
    """3 series in by two senders at once, 3 derived series out, one refused; nothing of a patient in the log."""
    port, (archive_port, archived) = free_port(), archive
    to, where = f"127.0.0.1:{archive_port}:ARCHIVE", ("127.0.0.1", str(port))
    more = ("--allow_ae", "CT1,MR1", "--metrics_file", str(tmp_path / "tat.prom"))
    words = serve(tmp_path / "node", port, to, weights, *more)
    paths = [of_study(tmp_path / "in" / kind, number, kind) for number, kind in enumerate(KINDS, start=1)]
    gap = of_study(tmp_path / "in" / "gap", 4, "CT", n_slices=5)
    gap.remove(gap[1])  # so that its geometry is refused
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, env=ENVIRONMENT, **pipes) as node:  # noqa: S603
        poll(lambda: listens(port) or node.poll() is not None, "the node does not listen")
        assert node.poll() is None, node.communicate()
        run("echoscu", "-aet", "CT1", "-aec", "TAT", *where)
        run("echoscu", "-aet", "STRANGER", "-aec", "TAT", *where, code=1)
        senders = [
            subprocess.Popen(["storescu", "-aet", title, "-aec", "TAT", *where, *map(str, files)])  # noqa: S603, S607
            for title, files in (("CT1", paths[0] + gap), ("MR1", paths[1] + paths[2]))
        ]
        assert [sender.wait() for sender in senders] == [0, 0]
        shown, told = node.communicate(timeout=LONG)
    assert node.returncode == 1, told
    assert "1 of 4 series are not done" in told
    assert Counter(job.state for job in jobs(tmp_path / "node")) == {"done": 3, "refused": 1}
    _check_made([pydicom.dcmread(path) for path in archived.iterdir()])
    assert "Müller" not in told + shown
    assert "1.2.9." not in told + shown
    counted = (tmp_path / "tat.prom").read_text()
    assert "tat_node_instances_sent_total 9\n" in counted
    assert 'tat_node_jobs{state="refused"} 1\n' in counted


def _check_made(made: list[pydicom.Dataset]) -> None:
    """Each source has one derived object, in its study."""
    assert Counter(str(image.StudyInstanceUID) for image in made) == {f"1.2.9.{n}": 3 for n in (1, 2, 3)}
    sources = Counter(str(image.SourceImageSequence[0].ReferencedSOPInstanceUID) for image in made)
    assert sources == {f"1.2.9.{n}.1.{k}": 1 for n in (1, 2, 3) for k in (1, 2, 3)}


SCRIPT = (
    START_ORTHANC
    + """
{serve} > node.log 2>&1 &
node=$!
until echoscu -aec TAT 127.0.0.1 11112 2> /dev/null; do kill -0 $node || { cat node.log; exit 7; }; sleep 0.5; done
for kind in CT MR PT; do storescu -aec TAT 127.0.0.1 11112 in/$kind/*.dcm; done
wait $node || { cat node.log; exit 8; }
{python} -c "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8042/statistics').read().decode())" > counts
"""
)


def test_orthanc_gets_what_is_derived(tmp_path, weights):  # noqa: F811
    if reason := why_not():
        pytest.skip(reason)
    for number, kind in enumerate(KINDS, start=1):
        of_study(tmp_path / "in" / kind, number, kind)
    access = {"AuthenticationEnabled": False, "HttpServerEnabled": True, "Plugins": []}
    config = {"StorageDirectory": "database", "IndexDirectory": "database", **access}
    (tmp_path / "orthanc.json").write_text(json.dumps(config))
    words = serve(tmp_path / "node", 11112, "127.0.0.1:4242:ORTHANC", weights)
    script = SCRIPT.replace("{serve}", " ".join(words)).replace("{python}", sys.executable)
    done = subprocess.run(  # noqa: S603
        [*IN_A_NAMESPACE, "bash", "-c", script],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads((tmp_path / "counts").read_text())
    assert [counts[f"Count{level}"] for level in ("Studies", "Series", "Instances")] == [3, 3, 9]
