#!/bin/sh
# Frame Reference Time (0054,1300) is "the time that the pixel values in the image occurred", in ms after Series Time
# (PS3.3 C.8.9.4). Decay Factor (0054,1321) tells independently when that is: it belongs to the moment at which the
# activity is the mean of the frame.
#
# In the real slices that the source distribution of pysuv ships, Frame Reference Time of Siemens is that moment. That
# of GE is the start of the frame, so 0 in the first bed. Nothing in the header says which of the two it is.
#
# Why it matters: who takes the attribute as it stands moves GE's frames by half their duration against those of
# Siemens. For a frame of 3 minutes that is 90 s on a time-activity curve, and 0.9 % of the activity of fluorine 18.
# Programs should take the start and the duration of a frame instead. The question is asked in openneuropet/PET2BIDS
# issue 379 (open, 2026).
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.2.6 pydicom==3.0.2 || exit 2
"$folder/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
    --dest "$folder" pysuv==0.1.0 || exit 2
tar -xzf "$folder/pysuv-0.1.0.tar.gz" -C "$folder"
cat > "$folder/run.py" <<'PYTHON'
import math
import sys
from importlib.metadata import version
from pathlib import Path

import pydicom

TOLERANCE = 3.0  # s: the factor has five decimals
folder = Path(sys.argv[1])


def slices(maker):
    """PET slices of one maker that are corrected for decay to the start of the scan, by name."""
    for path in sorted((folder / "pysuv-0.1.0/tests/data").rglob("*.dcm")):
        image = pydicom.dcmread(path, stop_before_pixels=True)
        if str(image.get("Manufacturer", "")).strip().upper().startswith(maker) and image.get("DecayCorrection") == "START":
            yield path.name, image


def seconds(clock):
    text = str(clock)
    return 3600 * int(text[:2]) + 60 * int(text[2:4]) + float(text[4:])


def mean_offset(duration, rate):
    """From the start of a frame to the moment at which its activity is the mean of the frame [s]."""
    return math.log(rate * duration / (1 - math.exp(-rate * duration))) / rate


counts = {}
print("slices of pysuv 0.1.0 whose values are corrected for decay; pydicom", version("pydicom"))
for maker in ("SIEMENS", "GE"):
    n, at_start, at_mean = 0, 0, 0
    for _, image in slices(maker):
        duration = float(image.get("ActualFrameDuration") or 0) / 1000
        if duration < 10 or "DecayFactor" not in image:
            continue
        rate = math.log(2) / float(image.RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife)
        mean = math.log(float(image.DecayFactor)) / rate
        start, told = mean - mean_offset(duration, rate), float(image.FrameReferenceTime) / 1000
        n, at_start, at_mean = n + 1, at_start + (abs(told - start) < TOLERANCE), at_mean + (abs(told - mean) < TOLERANCE)
        if n <= 5:
            print(f"{maker:8} frame of {duration:4.0f} s from {start:7.1f} s on, its mean at {mean:7.1f} s: told is {told:7.1f} s")
    counts[maker] = n, at_start, at_mean
for maker, (n, at_start, at_mean) in counts.items():
    print(f"{maker}: {n} slices. Frame Reference Time is the start of the frame in {at_start}, its mean moment in {at_mean}")
as_described = counts == {"SIEMENS": (20, 0, 20), "GE": (27, 27, 0)}
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
