#!/bin/sh
# A whole-body PET scan goes from bed to bed. Acquisition Time (0008,0032) of a slice should be when its bed began.
#
# In some real slices of GE, which the source distribution of pysuv ships, Acquisition Time is Series Time, although the
# slice belongs to a later bed: its Decay Factor (0054,1321) and Frame Reference Time (0054,1300) say 5 to 20 minutes.
# All other slices of later beds, of GE and of Siemens, have the time of the bed. dcm2niix believes Acquisition Time,
# and writes FrameTimesStart 0 into the sidecar.
#
# Why it matters: whoever corrects for decay, or draws a time-activity curve, from Acquisition Time is wrong by up to 14
# % for fluorine 18, and only in some scans of one maker. Decay Factor tells such slices. No public report was found;
# that Acquisition Time is no start of the scan is rordenlab/dcm2niix issue 983 (2025).
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    dcm2niix==1.0.20260724 numpy==2.2.6 pydicom==3.0.2 || exit 2
"$folder/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
    --dest "$folder" pysuv==0.1.0 || exit 2
tar -xzf "$folder/pysuv-0.1.0.tar.gz" -C "$folder"
cat > "$folder/run.py" <<'PYTHON'
import json
import math
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import pydicom

TOLERANCE = 3.0  # s: the factor has five decimals
folder = Path(sys.argv[1])


def slices(maker):
    """PET slices of one maker that are corrected for decay to the start of the scan, by name."""
    for path in sorted((folder / "pysuv-0.1.0/tests/data").rglob("*.dcm")):
        image = pydicom.dcmread(path, stop_before_pixels=True)
        if str(image.get("Manufacturer", "")).strip().upper().startswith(maker) and image.get("DecayCorrection") == "START":
            yield path, image


def seconds(clock):
    text = str(clock)
    return 3600 * int(text[:2]) + 60 * int(text[2:4]) + float(text[4:])


def mean_offset(duration, rate):
    """From the start of a frame to the moment at which its activity is the mean of the frame [s]."""
    return math.log(rate * duration / (1 - math.exp(-rate * duration))) / rate


def start_by_dcm2niix(path, number):
    source, out = folder / f"slice{number}", folder / f"sidecar{number}"
    source.mkdir()
    out.mkdir()
    shutil.copy(path, source)
    command = [dcm2niix.bin, "-z", "n", "-b", "y", "-f", "pet", "-o", str(out), str(source)]
    subprocess.run(command, capture_output=True, check=True)
    (start,) = json.loads((out / "pet.json").read_text())["FrameTimesStart"]
    return start


counts, of_dcm2niix = {}, []
print("slices of pysuv 0.1.0; pydicom", version("pydicom"), "dcm2niix", version("dcm2niix"))
for maker in ("SIEMENS", "GE"):
    n_later, n_wrong = 0, 0
    for path, image in slices(maker):
        duration = float(image.get("ActualFrameDuration") or 0) / 1000
        if duration < 10 or "DecayFactor" not in image:
            continue
        rate = math.log(2) / float(image.RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife)
        start = math.log(float(image.DecayFactor)) / rate - mean_offset(duration, rate)
        if start < 60:  # the first bed
            continue
        told = seconds(image.AcquisitionTime) - seconds(image.SeriesTime)
        n_later += 1
        if told == 0:
            n_wrong += 1
            of_dcm2niix.append(start_by_dcm2niix(path, len(of_dcm2niix)))
            error = math.exp(rate * start) - 1
            print(f"{maker}: frame begins {start:6.1f} s after Series Time (Frame Reference Time {float(image.FrameReferenceTime) / 1000:.0f} s), "
                  f"Acquisition Time {told:.0f} s, FrameTimesStart of dcm2niix {of_dcm2niix[-1]:.0f} s: decay {error:.1%}")
    counts[maker] = n_later, n_wrong
for maker, (n_later, n_wrong) in counts.items():
    print(f"{maker}: {n_later} slices of later beds, Acquisition Time is Series Time in {n_wrong}")
as_described = counts == {"SIEMENS": (15, 0), "GE": (19, 6)} and of_dcm2niix == [0] * 6
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
