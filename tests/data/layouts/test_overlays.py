"""Every overlay reads files in its layout and trains on them."""

import json
import pickle
import re

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose

from bundle.tat.data.layouts.ixi import CENTRAL_SLICES
from bundle.tat.networks import TAT
from bundle.tat.transforms.degradation.degrade import SimulateDegradationd
from bundle.tat.transforms.scale.intensity import ScaleByModalityd
from tests.configs.conftest import CONFIGS, ROOT, content, run_config
from tests.configs.test_train import TINY, assert_cache_is_left_alone, two_steps
from tests.scans import blobs, oblique_affine, write_dicom_series, write_nifti

RANGES = {"CT": (-1000, 1000), "MRI": (0, 1200), "PET": (0, 8)}
SECTIONS = ("training", "validation", "testing")


def volume(modality, shape=(21, 18, 3), seed=0):
    return blobs(shape, *RANGES[modality], seed=seed)


def folders(root):
    for section in SECTIONS:
        for modality in RANGES:
            for side in ("LQ", "HQ"):
                write_nifti(root / section / modality / side / "a.nii.gz", volume(modality))


def reference(root):
    for modality in RANGES:
        for side in ("LQ", "HQ"):
            for name in ("0", "1"):
                values = volume(modality, (20, 23), seed=int(name))
                for section in ("train", "validation", "test"):
                    (root / modality / section / side).mkdir(parents=True, exist_ok=True)
                (root / modality / "train" / side / f"{name}.bin").write_bytes(
                    pickle.dumps(torch.from_numpy(values)[None])
                )
                image = SimpleITK.GetImageFromArray(values)
                for section in ("validation", "test"):
                    SimpleITK.WriteImage(image, str(root / modality / section / side / f"{name}.nii"))


def ixi(root):
    for number in range(10):
        write_nifti(root / f"IXI{number:03d}-HH-12-T2.nii.gz", volume("MRI", (20, 17, 6), seed=number))


def aapm(root):
    for patient in ("L067", "L096", "L109", "L506"):
        for dose in ("full", "quarter"):
            stored = volume("CT", (3, 18, 20)).astype(np.int16)
            write_dicom_series(root / f"{dose}_1mm" / patient / f"{dose}_1mm", stored, spacing=(0.7, 0.7))


def clean(root):
    pytest.importorskip("astra")
    for section in SECTIONS:
        for modality in RANGES:
            write_nifti(root / section / modality / "a.nii.gz", volume(modality), oblique_affine((2.0, 2.0, 3.0)))


@pytest.mark.parametrize(
    ("write", "tasks", "options"),
    [
        (folders, "CT MRI PET", {}),
        (reference, "CT MRI PET", {"num_workers": 0}),
        (ixi, "MRI", {"train#n_slices": 4, "validate#n_slices": 2}),
        (aapm, "CT", {"aapm_series": "1mm"}),
        (clean, "CT MRI PET", {"n_draws": 2}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_trains_and_validates(tmp_path, monkeypatch, write, tasks, options):
    write(tmp_path / "data")
    workflow = train(tmp_path, monkeypatch, f"layouts/data_{write.__name__}.json", **options)
    trainer, evaluator = (workflow.parser.get_parsed_content(id_) for id_ in ("train#trainer", "validate#evaluator"))
    assert trainer.state.iteration == 2
    assert {name.removeprefix("val_psnr_") for name in evaluator.state.metrics} >= set(tasks.split())
    shapes = {key: tuple(trainer.state.output[key].shape[1:]) for key in ("image", "label")}
    assert shapes == {"image": (1, 16, 16), "label": (1, 16, 16)}


@pytest.mark.parametrize("write", [folders, reference, ixi, aapm, clean])
def test_every_layout_gives_neighbours(tmp_path, monkeypatch, write):
    write(tmp_path / "data")
    options = {"network_def": {**TINY, "in_channels": 3}}
    options |= {ixi: {"train#n_slices": 4, "validate#n_slices": 2}, aapm: {"aapm_series": "1mm"}}.get(write, {})
    options |= {"num_workers": 0} if write is reference else {}
    workflow = train(tmp_path, monkeypatch, f"layouts/data_{write.__name__}.json", **options)
    output = workflow.parser.get_parsed_content("train#trainer").state.output
    assert [output[key].shape[1] for key in ("image", "label", "pred")] == [3, 1, 1]


@pytest.mark.parametrize(
    ("write", "n_slices", "options"),
    [
        (folders, {"CT": 3, "MRI": 3, "PET": 3}, {}),
        (reference, {"CT": 2, "MRI": 2, "PET": 2}, {"num_workers": 0}),
        (ixi, {"MRI": 2 * 4}, {"train#n_slices": 4}),
        (aapm, {"CT": 3}, {"aapm_series": "1mm"}),
        (clean, {"CT": 3, "MRI": 3, "PET": 3}, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_evaluates(tmp_path, monkeypatch, write, n_slices, options):
    """Whatever the source, ``evaluate.json`` scores its test section."""
    write(tmp_path / "data")
    torch.save(TAT(**{name: it for name, it in TINY.items() if name != "_target_"}).state_dict(), tmp_path / "model.pt")
    overlay = f"layouts/data_{write.__name__}.json"
    more = {"ckpt_path": str(tmp_path / "model.pt"), "baselines": []}
    train(tmp_path, monkeypatch, overlay, "evaluate.json", **more, **options)
    tasks = json.loads((tmp_path / "out" / "summary.json").read_text())["tasks"]
    assert {task: found["n_slices"] for task, found in tasks.items()} == n_slices


def train(folder, monkeypatch, *names, **options):
    monkeypatch.chdir(folder)
    options = {**two_steps(folder / "data", folder), **options}
    return run_config("train.json", *names, workflow_type="train", **options)


@pytest.mark.parametrize("write", [folders, ixi, clean])
def test_pairs_of_a_layout_are_augmented_too(tmp_path, write):
    """In either order of the overlays, what the layout degrades is varied, and neither undoes the other."""
    write(tmp_path / "data")
    layout = f"layouts/data_{write.__name__}.json"
    options = {"dataset_dir": str(tmp_path / "data"), "output_dir": str(tmp_path / "out"), "network_def": TINY}
    options |= {"train#n_slices": 4} if write is ixi else {}

    def first_batch(*overlays):
        parser = ConfigParser()
        parser.read_config([str(CONFIGS / name) for name in ("train.json", *overlays)])
        parser.update(options)
        return next(iter(parser.get_parsed_content("train#dataloader")))

    plain, one, other = (
        first_batch(*names) for names in ((layout,), (layout, "augmented.json"), ("augmented.json", layout))
    )
    for key in ("image", "label"):
        assert torch.equal(one[key], other[key])
        assert not torch.equal(one[key], plain[key])
    if write is not folders:  # whose two sides are equal here
        assert (one["image"] != one["label"]).flatten(1).any(1).float().mean() > 0.5


def test_degrading_on_the_fly_leaves_the_cache_as_it_is(tmp_path, monkeypatch):
    ixi(tmp_path / "data")
    workflow = train(tmp_path, monkeypatch, "layouts/data_ixi.json", **{"train#n_slices": 4, "validate#n_slices": 2})
    assert_cache_is_left_alone(
        *(workflow.parser.get_parsed_content(f"train#{id_}") for id_ in ("dataset", "dataloader"))
    )


def test_degraded_scans_are_simulated_once(tmp_path, monkeypatch):
    clean(tmp_path / "data")
    train(tmp_path, monkeypatch, "layouts/data_clean.json")
    cached = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cache").iterdir()}
    assert 0 < len(cached) <= 12
    train(tmp_path, monkeypatch, "layouts/data_clean.json", ckpt_dir=str(tmp_path / "second"))
    assert all(path.stat().st_mtime_ns == written for path, written in cached.items())
    train(tmp_path, monkeypatch, "layouts/data_clean.json", ckpt_dir=str(tmp_path / "third"), dose_fraction=[0.2, 0.3])
    assert len([*(tmp_path / "out" / "cache").iterdir()]) > len(cached)


def test_the_worked_example_joins_sources(tmp_path, monkeypatch):
    ixi(tmp_path / "ixi")
    aapm(tmp_path / "aapm")
    folders(tmp_path / "pet")
    example = re.findall(r"```json\n(\{\n.*?)```", (ROOT / "docs" / "how-to" / "data.md").read_text(), re.DOTALL)[-1]
    overlay = json.loads(example)
    validation = {
        key.replace("train#", "validate#"): value for key, value in overlay.items() if key.startswith("train#")
    }
    validation = json.loads(
        json.dumps(validation).replace("@train#", "@validate#").replace('"training"', '"validation"')
    )
    overlay |= validation | {
        name: str(tmp_path / name.removesuffix("_dir")) for name in ("ixi_dir", "aapm_dir", "pet_dir")
    }
    for section in ("train", "validate"):
        overlay[f"{section}#ixi"]["items"]["n_slices"] = 4
    (tmp_path / "mine.json").write_text(json.dumps(overlay))
    workflow = train(tmp_path, monkeypatch, "layouts/data_ixi.json", str(tmp_path / "mine.json"))
    listed = workflow.parser.get_parsed_content("train#datalist")
    assert sorted({(item["modality"], item["n_slices"]) for item in listed}) == [("CT", 3), ("MRI", 4), ("PET", 3)]
    assert {*workflow.parser.get_parsed_content("validate#evaluator").state.metrics} >= {
        f"val_psnr_{task}" for task in RANGES
    }


@pytest.mark.parametrize(
    ("overlay", "id_", "expected"),
    [
        ("layouts/data_reference.json", "validate#datalist#items#n_each", {"validation": 16, "testing": None}),
        ("layouts/data_ixi.json", "validate#n_slices", {"validation": 4, "testing": CENTRAL_SLICES}),
    ],
)
def test_validation_takes_a_part_and_testing_all(overlay, id_, expected):
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / "train.json"), str(CONFIGS / overlay)])
    for section, number in expected.items():
        parser["section"] = section
        assert parser.get_parsed_content(id_) == number


def test_numbers_that_stand_twice_are_equal():
    config, transform = content("layouts/data_clean.json"), SimulateDegradationd()
    assert tuple(config["dose_fraction"]) == transform.dose_fraction
    assert tuple(config["count_fraction"]) == transform.count_fraction
    assert content("layouts/data_ixi.json")["train#n_slices"] == CENTRAL_SLICES


@pytest.mark.parametrize("path", sorted((CONFIGS / "layouts").glob("data_*.json")), ids=lambda path: path.stem)
def test_every_overlay_is_in_the_documents(path):
    assert path.name in (ROOT / "docs" / "how-to" / "data.md").read_text()


@pytest.mark.parametrize("factor", [1.0, 1 / 1400])
def test_slices_of_ixi_are_drawn_on_the_scale_of_their_volume(tmp_path, monkeypatch, factor):
    """The degraded slice that training draws has the values that inference would give it within its volume."""
    ixi(tmp_path)
    for path in tmp_path.glob("*.nii.gz"):
        scan = nibabel.load(path)
        nibabel.save(nibabel.Nifti1Image(scan.get_fdata(dtype=np.float32) * factor, scan.affine), path)
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / "train.json"), str(CONFIGS / "layouts/data_ixi.json")])
    parser.update(
        {
            "bundle_root": str(ROOT),
            "dataset_dir": str(tmp_path),
            "mri_scale": "percentile",
            "train#n_slices": 6,
        }
    )
    (item, *_) = parser.get_parsed_content("train#datalist")
    read, degrade, scale = (parser.get_parsed_content(f"train#{id_}") for id_ in ("read", "degrade", "scale#0"))
    drawn = Compose([*read, *degrade, scale])(item)
    whole = Compose([*parser.get_parsed_content("validate#read"), *parser.get_parsed_content("validate#degrade")])(item)
    whole = ScaleByModalityd(("image", "label"))(whole)
    for key in ("image", "label"):
        (one,) = drawn[key][0].as_tensor().unbind(-1)
        apart = [float((one - other).abs().max()) for other in whole[key][0].as_tensor().unbind(-1)]
        assert min(apart) < 1e-5
