#!/bin/sh
# A registration writes an affine transform to a template into the sform of a NIfTI (code 4), as FSL's fslorient does.
# The image should then lie where the sform says: nibabel, FSL and SPM take it so.
#
# MONAI's NibabelReader compares the voxel sizes of the header with those of the sform. Where they differ, as after any
# transform that scales, it overwrites the sform with the qform. The image goes back to where the scanner saw it. Where
# there is no qform at all (code 0), the sform is overwritten all the same: rotation and origin are gone, and the image
# lies at the origin of the world. There is no warning in either case.
#
# Why it matters: images registered to a template no longer lie on it, or on the labels that were drawn there, and
# SaveImage writes the new place into every result. Rigid transforms, whose voxel sizes agree, are kept, so that tests
# with these do not show it. No public report was found; the step came in with Project-MONAI/MONAI pull request 162
# (2020).
#
# Exit code 0: as described. 1: otherwise now. 2: the packages cannot be installed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    monai==1.6.1 nibabel==5.4.2 numpy==2.2.6 torch==2.13.0 || exit 2
cat > "$folder/run.py" <<'PYTHON'
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
from monai.transforms import LoadImage

SHAPE, SIZES = (24, 20, 12), np.diag([0.8, 0.9, 5.0])
folder = Path(sys.argv[1])


def turn(degrees):
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def affine(matrix, origin):
    return np.vstack([np.column_stack([matrix, origin]), [0, 0, 0, 1]])


scanner = affine(turn(10) @ SIZES, [-80, -90, -200])
registered = {
    "rigid": affine(turn(30) @ SIZES, [-60, -70, -50]),
    "5 % larger": affine(1.05 * turn(30) @ SIZES, [-60, -70, -50]),
}
corner = np.array([*SHAPE, 1]) - [1, 1, 1, 0]
found = {}
for name, sform in registered.items():
    for with_qform in (True, False):
        image = nibabel.Nifti1Image(np.zeros(SHAPE, np.int16), None)
        image.header["pixdim"][1:4] = np.diag(SIZES)
        if with_qform:
            image.set_qform(scanner, 1)
        image.header.set_sform(sform, 4)
        path = folder / f"{name[0]}{with_qform:d}.nii"
        path.write_bytes(image.header.binaryblock + bytes(4) + bytes(2 * int(np.prod(SHAPE))))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loaded = np.asarray(LoadImage(image_only=True)(path).affine)
        n_told = sum("sform" in str(warning.message) or "pixdim" in str(warning.message) for warning in caught)
        by_nibabel = nibabel.load(path).affine
        moved = np.linalg.norm((loaded - by_nibabel) @ corner)
        place = "the sform" if np.allclose(loaded, by_nibabel) else "the qform" if np.allclose(loaded, scanner, atol=1e-4) else "neither"
        found[name, with_qform] = place, n_told
        print(f"sform {name:10} {'beside a qform' if with_qform else 'alone':14}: MONAI takes {place}, last corner moved by {moved:6.1f} mm, "
              f"origin at {np.round(loaded[:3, 3], 1).tolist()}, warnings: {n_told}")
print(f"monai {version('monai')}, nibabel {version('nibabel')}")
as_described = found == {
    ("rigid", True): ("the sform", 0), ("rigid", False): ("the sform", 0),
    ("5 % larger", True): ("the qform", 0), ("5 % larger", False): ("neither", 0),
}
print("as described" if as_described else "otherwise than described")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py" "$folder"
