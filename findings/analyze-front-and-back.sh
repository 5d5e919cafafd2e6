#!/bin/sh
# An Analyze 7.5 image has no orientation but that of its format: by SPM, and by Mayo's own definition, x goes to the
# left of the patient, y to the front and z to the head. nibabel reads it so.
#
# SimpleITK reads the same file with y to the back. So the two put one voxel at opposite ends of the head. Both have x
# to the left and z to the head, so that one of the two shows a mirror image. SimpleITK says that the format is
# deprecated, not this.
#
# Why it matters: archives of old studies are in Analyze. A lesion that is converted with one program and overlaid with
# the other is flipped from front to back; turned upright again, it is on the other side. That the format does not tell
# left from right is well known; that two of the usual readers disagree about the front was not found in public reports.
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    nibabel==5.4.2 numpy==2.2.6 SimpleITK==2.5.7 || exit 2
cat > "$folder/run.py" <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK

SHAPE, SIZES = (60, 72, 40), (2.0, 2.0, 3.0)
folder = Path(sys.argv[1])
image = nibabel.AnalyzeImage(np.zeros(SHAPE, np.int16), None)
image.header.set_zooms(SIZES)
nibabel.save(image, folder / "old.img")

itk = SimpleITK.ReadImage(str(folder / "old.hdr"))
axes = np.diag([-1, -1, 1]) @ np.array(itk.GetDirection()).reshape(3, 3)  # to the right, to the front, to the head
ways = {"nibabel": nibabel.aff2axcodes(nibabel.load(folder / "old.img").affine)}
ways["SimpleITK"] = nibabel.aff2axcodes(np.vstack([np.column_stack([axes, [0, 0, 0]]), [0, 0, 0, 1]]))
print(*(f"{name} {version(name)}" for name in ways), sep=", ")
names = {"L": "left", "R": "right", "A": "front", "P": "back", "S": "head", "I": "feet"}
for program, way in ways.items():
    print(f"{program:10} first axis to the {names[way[0]]}, second to the {names[way[1]]}, third to the {names[way[2]]}")
as_described = ways == {"nibabel": ("L", "A", "S"), "SimpleITK": ("L", "P", "S")}
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
