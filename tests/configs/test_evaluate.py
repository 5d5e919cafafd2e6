"""The overlay runs for real, and its tables hold what direct calls on the same volumes give."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow

from bundle.tat.cases.refusals import find_refusal
from bundle.tat.evaluation.baseline_filters import gaussian
from bundle.tat.evaluation.scoring import evaluate_whole
from bundle.tat.handlers.weights_loader import load_weights
from bundle.tat.metrics import evaluate_pair
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.networks import TAT
from tests.configs.conftest import CONFIGS, content, run_config
from tests.configs.test_train import TINY
from tests.scans import blobs, oblique_affine, write_nifti

FILES = ["cases.csv", "slices.csv", "summary.json", "volumes.csv"]
RANGES = {"CT": (-1000, 1000), "MRI": (0, 1200), "PET": (0, 8)}


def tiny_network() -> TAT:
    return TAT(**{name: value for name, value in TINY.items() if name != "_target_"})


@pytest.fixture
def model(tmp_path):
    """Weights that change something."""
    network = tiny_network()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    torch.save(network.state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


@pytest.fixture
def pairs(tmp_path):
    """A noisy and a clean volume of each task, of odd sizes and oblique geometry; one slice of CT is air."""
    entries = []
    for number, (modality, (low, high)) in enumerate(RANGES.items()):
        clean = blobs((21, 13 + 2 * number, 3), low, high, seed=number)
        if modality == "CT":
            clean[..., 1] = -1000.0
        noisy = clean + np.random.default_rng(number).normal(0, 0.05 * (high - low), clean.shape).astype(np.float32)
        names = {kind: f"{modality}/{modality.lower()}_{kind}.nii.gz" for kind in ("image", "label")}
        for kind, volume in (("image", noisy), ("label", clean)):
            write_nifti(tmp_path / "pairs" / names[kind], volume, oblique_affine())
        entries.append({**names, "modality": modality})
    (tmp_path / "pairs" / "datalist.json").write_text(json.dumps({"testing": entries}))
    return tmp_path / "pairs"


def add_air_and_subjects(pairs):
    """Another case, whose clean image is air, and a number for the subject of every case."""
    entries = json.loads((pairs / "datalist.json").read_text())["testing"]
    for kind, value in (("image", -990.0), ("label", -1000.0)):
        write_nifti(pairs / "CT" / f"air_{kind}.nii.gz", np.full((21, 13, 3), value, dtype=np.float32))
    entries.append({"image": "CT/air_image.nii.gz", "label": "CT/air_label.nii.gz", "modality": "CT"})
    entries = [{**entry, "subject": 40 + number // 2} for number, entry in enumerate(entries)]
    (pairs / "datalist.json").write_text(json.dumps({"testing": entries}))


def evaluate(pairs, model, folder, **more):
    changes = {
        "network_def": TINY,
        "dataset_dir": str(pairs),
        "ckpt_path": str(model),
        "output_dir": str(folder / "out"),
        "device": "cpu",
        **more,
    }
    run_config("train.json", "evaluate.json", workflow_type="train", **changes)
    return folder / "out"


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def volume(pairs, modality, kind):
    return nibabel.load(pairs / modality / f"{modality.lower()}_{kind}.nii.gz").get_fdata(dtype=np.float32)


def restore(image, modality, model):
    bounds = INTENSITY_RANGES[Modality(modality)]
    network = tiny_network().eval()
    load_weights(network, str(model))
    height, width, _ = image.shape
    clipped = image.clip(bounds.low, bounds.high)
    unit = np.pad((clipped - bounds.low) / bounds.width, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="edge")
    with torch.inference_mode():
        pred = network(torch.from_numpy(np.moveaxis(unit, -1, 0)[:, None]))[:, 0].numpy()
    restored = np.moveaxis(pred, 0, -1)[:height, :width] * bounds.width + bounds.low + image - clipped
    # A slice of one value skips the network.
    constant = np.ptp(image, axis=(0, 1)) == 0
    return np.where(constant, image, restored).astype(np.float32)


def test_tables_hold_what_direct_calls_give(foreign_directory, pairs, model):
    out = evaluate(pairs, model, foreign_directory)
    assert sorted(path.name for path in out.iterdir()) == FILES
    slices = rows(out / "slices.csv")
    assert len(slices) == (2 + 3 + 3) * 3
    for row in slices:
        image, label = (volume(pairs, row["modality"], kind) for kind in ("image", "label"))
        preds = {"input": lambda image=image: image}
        preds["gaussian"] = lambda image=image, row=row: gaussian(image, float(row["parameter"]))
        preds["restored"] = lambda image=image, row=row: restore(image, row["modality"], model)
        index = int(row["slice"])
        pair = (torch.from_numpy(array[..., index].copy()) for array in (preds[row["method"]](), label))
        expected = evaluate_pair(*pair, row["modality"])
        for name, score in expected.items():
            assert float(row[name]) == pytest.approx(score, rel=1e-5, abs=1e-6), (row["case"], row["method"], name)
    for row in rows(out / "cases.csv"):
        own = [one for one in slices if (one["case"], one["method"]) == (row["case"], row["method"])]
        assert (row["n_slices"], row["n_constant"]) == (("2", "1") if row["modality"] == "CT" else ("3", "0"))
        for name in ("psnr", "ssim", "rmse"):
            assert float(row[name]) == pytest.approx(np.mean([float(one[name]) for one in own]), rel=1e-12)


def test_volumes_as_one(foreign_directory, pairs, model):
    out = evaluate(pairs, model, foreign_directory, baselines=[])
    for row, by_slice in zip(rows(out / "volumes.csv"), rows(out / "cases.csv"), strict=True):
        if row["method"] == "input":
            image, label = (torch.from_numpy(volume(pairs, row["modality"], kind)) for kind in ("image", "label"))
            expected = evaluate_whole(image, label, row["modality"])
            assert {name: float(row[name]) for name in expected} == pytest.approx(expected, rel=1e-4)
        assert (row["protocol"], by_slice["protocol"]) == ("tat-3d-v1", "tat-2d-v1")
        assert (row["ssim"], row["n_slices"]) == (by_slice["ssim"], by_slice["n_slices"])


def test_a_run_compared_with_itself_does_not_differ(foreign_directory, pairs, model):
    first = evaluate(pairs, model, foreign_directory / "one", baselines=[])
    compare_to = str(first / "slices.csv")
    second = evaluate(pairs, model, foreign_directory / "two", baselines=[], compare_to=compare_to)
    assert (first / "slices.csv").read_bytes() == (second / "slices.csv").read_bytes()
    summary = json.loads((second / "summary.json").read_text())
    assert summary["weights_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert list(summary["tasks"]) == list(RANGES)
    for task in summary["tasks"].values():
        for comparison in task["restored_against"]["other_run"].values():
            assert (comparison["mean_difference"], comparison["test"]["p"]) == (0.0, 1.0)
        assert 0.0 < task["restored_against"]["input"]["psnr"]["test"]["p"] <= 1.0


def test_single_images_are_scored_as_the_slices_that_they_are(foreign_directory, pairs, model):
    as_volumes = rows(evaluate(pairs, model, foreign_directory / "volumes", baselines=[]) / "slices.csv")
    entries = json.loads((pairs / "datalist.json").read_text())["testing"][1:]
    for entry in entries:
        for kind in ("image", "label"):
            array = nibabel.load(pairs / entry[kind]).get_fdata(dtype=np.float32)[..., 2]
            write_nifti(pairs / f"2d_{entry[kind]}", array, oblique_affine())
            entry[kind] = f"2d_{entry[kind]}"
    (pairs / "datalist.json").write_text(json.dumps({"testing": entries}))
    as_images = rows(evaluate(pairs, model, foreign_directory / "images", baselines=[]) / "slices.csv")
    scores = [
        [[float(row[name]) for name in ("psnr", "ssim", "rmse")] for row in table]
        for table in (as_images, [row for row in as_volumes if row["slice"] == "2" and row["modality"] != "CT"])
    ]
    np.testing.assert_allclose(*scores, rtol=1e-5)


@pytest.mark.parametrize(("largest", "is_in_planes"), [(2.5, False), (3.0, True)])
def test_pet_is_scored_in_the_planes_that_it_would_be_restored_in(
    foreign_directory, pairs, model, largest, is_in_planes
):
    """Voxels of 3 mm. The kind of the weights says how large pixels may be."""
    (entry,) = (one for one in json.loads((pairs / "datalist.json").read_text())["testing"] if one["modality"] == "PET")
    for kind in ("image", "label"):
        write_nifti(pairs / entry[kind], volume(pairs, "PET", kind).repeat(6, axis=2), np.diag([3.0, 3.0, 3.0, 1.0]))
    (pairs / "datalist.json").write_text(json.dumps({"testing": [entry]}))
    model.with_suffix(".json").write_text(json.dumps({"pixel_sizes": {"PET": [2.0, largest]}}))
    asked, in_one = (
        [
            row["psnr"]
            for row in rows(evaluate(pairs, model, foreign_directory / name, baselines=[], **more) / "slices.csv")
        ]
        for name, more in (("asked", {}), ("one", {"pet_planes": False}))
    )
    assert (asked != in_one) is is_in_planes


def test_a_case_of_air_is_counted_and_subjects_are_written_down(foreign_directory, pairs, model):
    add_air_and_subjects(pairs)
    out = evaluate(pairs, model, foreign_directory, baselines=[])
    cases = {row["case"]: row for row in rows(out / "cases.csv") if row["method"] == "restored"}
    assert {name: row["subject"] for name, row in cases.items()} == {
        "air_image": "41",
        "ct_image": "40",
        "mri_image": "40",
        "pet_image": "41",
    }
    assert [cases["air_image"][name] for name in ("psnr", "ssim", "rmse", "n_slices", "n_constant")] == [
        "",
        "",
        "",
        "0",
        "3",
    ]
    task = json.loads((out / "summary.json").read_text())["tasks"]["CT"]
    counts = ("n_subjects", "n_cases", "n_unscored", "n_slices", "n_constant")
    assert [task[name] for name in counts] == [1, 1, 1, 2, 4]


def test_all_baselines(foreign_directory, pairs, model):
    pytest.importorskip("skimage", reason="needs the extra report")
    names = ["gaussian", "non_local_means", "total_variation", "bicubic"]
    out = evaluate(pairs, model, foreign_directory, baselines=names)
    methods = {(row["modality"], row["method"]) for row in rows(out / "cases.csv")}
    assert methods == {(task, method) for task in RANGES for method in ("input", "restored", *names)} - {
        ("CT", "bicubic"),
        ("PET", "bicubic"),
    }


def test_weights_of_another_network_are_refused_before_any_work(foreign_directory, pairs, model):
    with pytest.raises(RuntimeError) as error:
        evaluate(pairs, model, foreign_directory, network_def={**TINY, "dim": 8})
    assert "of another architecture" in str(find_refusal(error.value))
    assert not (foreign_directory / "out").exists()


@pytest.mark.parametrize("files", [["train.json", "evaluate.json"], ["train.json", "small.json", "evaluate.json"]])
def test_nothing_that_monai_asks_for_is_missing(foreign_directory, pairs, files):
    # Whichever network the weights belong to, the overlay leaves it as it is.
    (pairs / "datalist.json").write_text(
        json.dumps(dict.fromkeys(["training", "testing"], json.loads((pairs / "datalist.json").read_text())["testing"]))
    )
    changes = {"network_def": TINY, "dataset_dir": str(pairs), "device": "cpu"}
    paths = [str(CONFIGS / name) for name in files]
    workflow = ConfigWorkflow(paths, workflow_type="train", logging_file=False, **changes)
    workflow.initialize()
    assert not workflow.check_properties()


def test_handlers_are_components():
    assert all(isinstance(handler, dict) for handler in content("evaluate.json")["validate#handlers"])


def test_two_ranks_write_the_tables_of_one_process(foreign_directory, pairs, model):
    add_air_and_subjects(pairs)
    one = evaluate(pairs, model, foreign_directory / "one")
    two = foreign_directory / "two"
    overlay = {"network_def": TINY, "dataset_dir": str(pairs), "ckpt_path": str(model), "output_dir": str(two)}
    (foreign_directory / "overlay.json").write_text(json.dumps(overlay))
    names = ("train.json", "evaluate.json", "multi_gpu_evaluate.json")
    files = [*(str(CONFIGS / name) for name in names), str(foreign_directory / "overlay.json")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "monai.bundle", "run", "--config_file", str(files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("slices.csv", "cases.csv", "volumes.csv", "summary.json"):
        assert (two / name).read_bytes() == (one / name).read_bytes()


def test_mri_in_the_unit_range_is_refused_or_scored_as_on_its_native_scale(foreign_directory, pairs, model):
    def scores(**more):
        evaluate(pairs, model, foreign_directory, tasks="MRI", mri_scale="percentile", **more)
        with (foreign_directory / "out" / "cases.csv").open(newline="") as file:
            return {row["method"]: row for row in csv.DictReader(file)}

    native = scores()
    for kind in ("image", "label"):
        path = pairs / f"MRI/mri_{kind}.nii.gz"
        scan = nibabel.load(path)
        nibabel.save(nibabel.Nifti1Image(scan.get_fdata(dtype=np.float32) / 1400, scan.affine), path)
    with pytest.raises(RuntimeError) as caught:
        evaluate(pairs, model, foreign_directory, tasks="MRI")
    assert "pass --mri_scale percentile" in str(find_refusal(caught.value))
    for method, row in scores().items():
        assert row["mri_scale"] == "percentile"
        assert float(row["psnr"]) == pytest.approx(float(native[method]["psnr"]), abs=0.001)
        assert float(row["rmse"]) == pytest.approx(float(native[method]["rmse"]), rel=1e-4)
        assert float(row["ssim"]) == pytest.approx(float(native[method]["ssim"]), abs=1e-4)
