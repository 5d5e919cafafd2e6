#!/bin/sh
# Acquisition Matrix (0018,1310) has four values: frequency rows, frequency columns, phase rows, phase columns (PS3.3
# C.8.3.1). One would read "phase columns 96" as 96 columns along which phase was encoded.
#
# Real files mean the opposite. In all files with a phase direction that pydicom, pydicom-data and nibabel ship
# (Siemens), "frequency rows" is how many samples lie along a row, so it counts columns, and "phase columns" counts
# rows. One of them, 128 columns by 96 rows as acquired, says: frequency rows 128, phase columns 96. In-plane Phase
# Encoding Direction (0018,1312) agrees: phase "columns" go with COL, which is phase along a column; phase "rows" with
# ROW.
#
# Why it matters: read by its words, the matrix gives the resolution of the wrong axis, and a scan that was zero-filled
# along one axis passes for one that was zero-filled along the other. The two agree for square matrices, so that most
# tests do not show it. Where both attributes are there, the direction settles it. No public discussion of the words was
# found; rordenlab/dcm2niix issue 880 shows one of GE, 128, 0, 0, 116, for frequency 128 and phase 116.
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2 pydicom-data==1.0.0 || exit 2
cat > "$folder/run.py" <<'PYTHON'
import sysconfig
import sys
from importlib.metadata import version
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

PLACES = {"COL": (0, 3), "ROW": (1, 2)}  # of the values that are not 0
found, as_acquired = {}, None
for package in ("pydicom", "data_store", "nibabel"):  # data_store is that of pydicom-data
    root = Path(sysconfig.get_path("purelib"))
    for path in sorted((root / package).rglob("*.dcm")):
        try:
            image = pydicom.dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:
            continue
        matrix, direction = image.get("AcquisitionMatrix"), image.get("InPlanePhaseEncodingDirection")
        if matrix is None or direction not in PLACES:
            continue
        places = tuple(place for place, value in enumerate(matrix) if value)
        found[path.relative_to(root)] = places == PLACES[direction]
        print(f"{path.name:36} {image.Manufacturer} {image.Rows} rows x {image.Columns} columns, phase {direction}: frequency rows, "
              f"frequency columns, phase rows, phase columns = {list(matrix)}")
        if path.name == "decimal_rescale.dcm":
            as_acquired = image.Rows, image.Columns, *matrix
print(*(f"{name} {version(name)}" for name in ("pydicom", "pydicom-data", "nibabel")), sep=", ")
print(f"{sum(found.values())} of {len(found)} have phase 'columns' with COL and phase 'rows' with ROW")
print("96 rows x 128 columns, as acquired, are told as frequency rows 128, phase columns 96:", as_acquired == (96, 128, 128, 0, 0, 96))
as_described = len(found) == 9 and all(found.values()) and as_acquired == (96, 128, 128, 0, 0, 96)
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
