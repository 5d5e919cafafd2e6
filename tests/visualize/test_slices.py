"""Pictures: the hanging of a slice, whichever way it was stored, and what stands on a figure."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib", reason="needs the extra report")

from bundle.tat.evaluation.cases import Case, Scan
from bundle.tat.metrics import evaluate_pair
from bundle.tat.modality import Modality
from bundle.tat.visualize.saving import save_figure
from bundle.tat.visualize.slices import draw_case, draw_scan, upright_slice
from tests.pictures import draw_figure, read_picture

SPACING = (2.0, 3.0, 4.0)  # to the right, anterior, superior [mm]
EDGES = {"axial": ("A", "R"), "coronal": ("S", "R"), "sagittal": ("S", "A")}  # top, viewer's left
OPPOSITE = dict(zip("RAS", "LPI", strict=True))


def affine_of(codes: tuple[str, ...], *, tilt: float = 0.0) -> np.ndarray:
    """Affine of a volume whose voxel axes run towards ``codes``, turned about the superior axis by ``tilt`` [rad]."""
    affine = np.eye(4)
    for axis, code in enumerate(codes):
        world = "RASLPI".index(code) % 3
        affine[:3, axis] = np.eye(3)[world] * SPACING[world] * (1.0 if code in "RAS" else -1.0)
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0.0], [np.sin(tilt), np.cos(tilt), 0.0], [0.0, 0.0, 1.0]])
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = (-40.0, 25.0, 7.0)
    return affine


@pytest.mark.parametrize("edges", list(EDGES.values()), ids=list(EDGES))
@pytest.mark.parametrize("flips", list(itertools.product((False, True), repeat=3)), ids=str)
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_a_slice_hangs_upright_however_it_is_stored(edges, flips, swapped, tilt):
    (through,) = set("RAS") - set(edges)
    codes = (*(edges[::-1] if swapped else edges), through)
    affine = affine_of(tuple(OPPOSITE[c] if f else c for c, f in zip(codes, flips, strict=True)), tilt=tilt)
    voxels = np.stack(np.meshgrid(range(6), range(7), range(5), indexing="ij"))
    coordinates = np.einsum("wv,vijk->wijk", affine[:3, :3], voxels)
    for position, edge in enumerate(edges):
        world = "RAS".index(edge)
        view = upright_slice(coordinates[world], affine, 2)
        # From the edge that is named, the coordinate falls along the rows (position 0) or columns.
        assert (np.diff(view.pixels, axis=position) < 0.0).all()
        assert (view.row_spacing, view.column_spacing)[position] == pytest.approx(SPACING[world])
    assert (view.top, view.left) == edges


def case_of(modality: Modality, codes: tuple[str, ...] = ("L", "P", "S")) -> Case:
    label = np.random.default_rng(0).uniform(0.0, 18.0, (40, 33, 5)).astype(np.float32)
    volumes = {"image": label + 2.0, "restored": label + 1.0, "label": label}
    return Case(name="scan_low", modality=modality, affine=affine_of(codes), **volumes)


@pytest.mark.parametrize("modality", Modality)
def test_a_figure_says_what_it_shows(modality, tmp_path):
    case = case_of(modality)
    figure = draw_case(case, note="simulated on a phantom")
    panels = figure.axes[:5]
    assert figure.get_suptitle() == f"{modality.value}  scan_low, slice 3 of 5\nsimulated on a phantom"
    for panel, volume in zip(panels[:2], (case.image, case.restored), strict=True):
        pred, clean = (torch.from_numpy(array[:, :, 2].copy()) for array in (volume, case.label))
        assert f"{evaluate_pair(pred, clean, modality)['psnr']:.2f} dB" in panel.get_title()
    np.testing.assert_allclose(panels[3].images[0].get_array(), -1.0, atol=1e-5)
    np.testing.assert_allclose(panels[4].images[0].get_array(), 1.0, atol=1e-5)
    unit = {"CT": "HU", "MRI": "a.u.", "PET": "SUV"}[modality.value]
    assert [axes.get_xlabel() for axes in figure.axes[5:]] == [f"intensity [{unit}]", f"difference [{unit}]"]
    save_figure(figure, tmp_path / "new" / "picture.png")
    again = draw_figure(draw_case(case, note="simulated on a phantom"))
    np.testing.assert_array_equal(read_picture(tmp_path / "new" / "picture.png"), again)


def test_any_slice_can_be_drawn():
    case = case_of(Modality.CT)
    figure = draw_case(case, index=4)
    assert figure.get_suptitle() == "CT  scan_low, slice 5 of 5"
    shown = upright_slice(case.label, case.affine, 4).pixels
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), shown)


@pytest.mark.parametrize("modality", Modality)
def test_a_scan_without_a_clean_image_claims_nothing(modality):
    case = case_of(modality)
    scan = Scan(name="scan", modality=modality, image=case.image, restored=case.restored, affine=case.affine)
    figure = draw_scan(scan)
    assert figure.get_suptitle() == f"{modality.value}  scan, slice 3 of 5"
    assert [panel.get_title() for panel in figure.axes[:3]] == ["input", "restored", "residual\nrestored - input"]
    grey, residual = figure.axes[0].images[0], figure.axes[2].images[0]
    np.testing.assert_allclose(residual.get_array(), -1.0, atol=1e-5)
    assert residual.get_clim() == pytest.approx((-1.0, 1.0), abs=1e-5)
    assert figure.axes[1].images[0].get_clim() == grey.get_clim()
    unit = {"CT": "HU", "MRI": "a.u.", "PET": "SUV"}[modality.value]
    assert [axes.get_xlabel() for axes in figure.axes[3:]] == [f"intensity [{unit}]", f"difference [{unit}]"]
    assert {text.get_text() for text in figure.axes[0].texts} == {"2 cm", "R", "A"}


def test_the_scale_bar_is_as_long_as_it_says():
    first = draw_case(case_of(Modality.CT)).axes[0]  # 40 columns of 2 mm: 32 mm at most
    start, end = first.lines[-1].get_xdata()
    assert end - start == pytest.approx(20.0)
    assert {text.get_text() for text in first.texts} == {"2 cm", "R", "A"}
    assert first.images[0].get_extent() == pytest.approx((0.0, 80.0, 99.0, 0.0))


def test_a_perfect_restoration_of_a_constant_can_be_drawn():
    air = np.zeros((12, 12, 1), dtype=np.float32)
    draw_case(Case(name="air", modality=Modality.MRI, image=air, label=air, restored=air, affine=np.eye(4)))
    draw_scan(Scan(name="air", modality=Modality.MRI, image=air, restored=air, affine=np.eye(4)))
