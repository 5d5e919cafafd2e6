#!/bin/sh
# Decay Factor (0054,1321) is "the decay factor that was used to scale this image", and Decay Correction (0054,1102)
# tells to which moment values are corrected: NONE, START or ADMIN (PS3.3 C.8.9.4, C.8.9.1). Corrected Image (0028,0051)
# has DECY where they are corrected.
#
# In all real slices of Philips that the source distribution of pysuv ships, and that say START, Decay Factor is 1, also
# where the frame was 47 minutes after the start of the scan: 1.34 would be right. Nine of Philips' 30 slices say Decay
# Correction NONE, and all nine have DECY. No slice of Siemens or GE says NONE and has DECY.
#
# Why it matters: who takes the correction back by Decay Factor, as for kinetic models, takes nothing back. Who computes
# SUV must choose which of two statements to believe; for a bed 20 minutes after the first they differ by 12 %, beside
# the decay from injection to scan. No public report was found.
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
import sys
from importlib.metadata import version
from pathlib import Path

import pydicom

folder = Path(sys.argv[1])
print("slices of pysuv 0.1.0; pydicom", version("pydicom"))
NAMES = ("slices", "START, later than 60 s", "of these Decay Factor 1", "NONE", "of these DECY")
counts, asked_for = {maker: dict.fromkeys(NAMES, 0) for maker in ("GE", "PHILIPS", "SIEMENS")}, []
for path in sorted((folder / "pysuv-0.1.0/tests/data").rglob("*.dcm")):
    image = pydicom.dcmread(path, stop_before_pixels=True)
    count = counts.get(str(image.get("Manufacturer", "")).strip().upper().split(" ")[0])
    if count is None or "DecayCorrection" not in image:
        continue
    count["slices"] += 1
    later = float(image.get("FrameReferenceTime") or 0) / 1000
    if image.DecayCorrection == "NONE":
        count["NONE"] += 1
        count["of these DECY"] += "DECY" in image.CorrectedImage
    if image.DecayCorrection == "START" and later > 60:
        count["START, later than 60 s"] += 1
        if float(image.get("DecayFactor") or 0) == 1:
            count["of these Decay Factor 1"] += 1
            asked_for.append(2 ** (later / float(image.RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife)))
for maker, count in counts.items():
    print(f"{maker:8}", *(f"{name}: {n}." for name, n in count.items()))
print("factors that Frame Reference Time asks for, where 1 is told:", *(f"{factor:.3f}" for factor in sorted(asked_for)))
as_described = [tuple(count.values()) for count in counts.values()] == [(30, 20, 0, 1, 0), (30, 21, 21, 9, 9), (25, 20, 0, 0, 0)]
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
