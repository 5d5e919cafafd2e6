"""A source and its derived series, stored in an archive and fetched back: Orthanc, with the clients of DCMTK.

Orthanc listens on every address and cannot be told otherwise, so it runs in a network namespace of its own, which takes
root. Debian: ``apt-get install orthanc dcmtk iproute2``.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from bundle.tat.transforms.load import LoadScand
from bundle.tat.transforms.save import SaveRestoredd
from tests.dicom_sources import stored_values, write_source

PROGRAMS = ("Orthanc", "echoscu", "storescu", "getscu", "ip", "unshare")
IN_A_NAMESPACE = ("unshare", "--net")

# In a network of its own: this Orthanc listens on every address.
START_ORTHANC = """
ip link set lo up
Orthanc orthanc.json > orthanc.log 2>&1 &
trap 'kill $(jobs -p)' EXIT
for attempt in $(seq 120); do echoscu -aec ORTHANC 127.0.0.1 4242 && break; sleep 0.5; done > /dev/null 2>&1
set -e
"""
SCRIPT = (
    START_ORTHANC
    + """
storescu -aec ORTHANC +sd +r 127.0.0.1 4242 series out/series/*.dcm
getscu -S -aec ORTHANC -od fetched -k QueryRetrieveLevel=STUDY -k StudyInstanceUID=1.2.826.0.2 127.0.0.1 4242
{python} -c "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8042/statistics').read().decode())" > counts
"""
)


def why_not() -> str:
    """What is missing for an archive, in words."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        return f"{', '.join(missing)} not installed: apt-get install orthanc dcmtk iproute2"
    if subprocess.run([*IN_A_NAMESPACE, "true"], capture_output=True, check=False).returncode:  # noqa: S603
        return "no network namespace can be made: run as root"
    return ""


def by_uid(paths: list[Path]) -> dict[str, pydicom.Dataset]:
    images = [pydicom.dcmread(path) for path in paths]
    return {image.SOPInstanceUID: image for image in images}


@pytest.mark.integration
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_an_archive_gives_back_what_it_got(tmp_path, modality):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    write_source(tmp_path / "series", stored_values(modality), modality)
    image = LoadScand("pred")({"pred": str(tmp_path / "series")})["pred"]
    SaveRestoredd("pred", str(tmp_path / "out"))({"pred": image, "modality": modality})
    folders = {"StorageDirectory": "database", "IndexDirectory": "database"}
    access = {"AuthenticationEnabled": False, "DicomAlwaysAllowGet": True, "HttpServerEnabled": True}
    (tmp_path / "orthanc.json").write_text(json.dumps({**folders, **access, "Plugins": []}))
    (tmp_path / "fetched").mkdir()
    script = SCRIPT.replace("{python}", sys.executable)
    done = subprocess.run(  # noqa: S603
        [*IN_A_NAMESPACE, "bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "orthanc.log").read_text()

    sent = by_uid([*tmp_path.glob("series/*.dcm"), *tmp_path.glob("out/series/*.dcm")])
    fetched = by_uid(list((tmp_path / "fetched").iterdir()))
    assert len(sent) == 6
    assert fetched.keys() == sent.keys()
    for uid, image in sent.items():
        assert fetched[uid].SeriesInstanceUID == image.SeriesInstanceUID
        assert fetched[uid].PixelData == image.PixelData
        assert fetched[uid] == image
    counts = json.loads((tmp_path / "counts").read_text())
    assert [counts[f"Count{level}"] for level in ("Patients", "Studies", "Series", "Instances")] == [1, 1, 2, 6]
