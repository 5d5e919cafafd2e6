"""A run measures, judges, tells and reports."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch

from bundle.tat.cases.record import read_record
from bundle.tat.cases.refusals import find_refusal
from bundle.tat.file_digest import file_sha256
from bundle.tat.modality import Modality
from tests.configs.conftest import foreign_directory, run_config  # noqa: F401 - the fixture
from tests.quality.helper import anatomy, calibration, noise
from tests.scans import write_nifti


class Blur(torch.nn.Module):
    """Averages over squares: no noise is left, and no edge."""

    def __init__(self, side):
        super().__init__()
        self.side = side

    def forward(self, slices):
        return torch.nn.functional.avg_pool2d(slices, self.side, 1, self.side // 2, count_include_pad=False)


@pytest.fixture
def scan(foreign_directory):  # noqa: F811
    clean = anatomy()
    slices = [clean + noise(20.0, index) for index in range(3)]
    write_nifti(foreign_directory / "in" / "body.nii.gz", np.stack(slices, axis=-1))
    return foreign_directory / "in"


@pytest.fixture
def weights(tmp_path):
    """A file of weights with a calibration of its own; the network is given by the test."""
    path = tmp_path / "weights" / "model.pt"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    known = calibration(file_sha256(path), ranges={})
    entry = {"weights_sha256": known.weights_sha256, "modalities": {"CT": asdict(known.modalities[Modality.CT])}}
    path.with_name("calibration.json").write_text(json.dumps(entry))
    return path


def restore(scan, weights, network, **overrides):
    settings = {"device": "cpu", "modality": "CT", "inferer#progress": False, "handlers": [], "ckpt_path": str(weights)}
    out = scan.parent / "out"
    return out, run_config(
        "inference.json", dataset_dir=str(scan), output_dir=str(out), network_def=network, **settings, **overrides
    )


def test_a_run_ends_with_a_report_and_a_verdict(scan, weights, capsys):
    out, _ = restore(scan, weights, Blur(9))
    record = read_record(out / "body")
    assert record.quality.judgement.verdict == "do not use"
    assert record.quality.measures.median("noise_before") == pytest.approx(20.0, rel=0.15)
    table = capsys.readouterr().out
    assert "restored  do not use" in table
    assert f"report: {out / 'report.html'}" in table
    assert "do not use" in (out / "report.html").read_text()
    assert (out / "body" / "quality.npz").is_file()


def test_weights_without_a_calibration_get_no_verdict(scan, weights):
    weights.with_name("calibration.json").unlink()
    out, _ = restore(scan, weights, Blur(3))
    assert read_record(out / "body").quality.judgement.verdict == "not calibrated"


def test_a_doubtful_scan_is_not_written_if_that_is_wished_for(scan, weights):
    with pytest.raises(RuntimeError) as caught:
        restore(scan, weights, Blur(9), refuse_doubtful="True")
    assert "the restored scan should not be used: of benchmark scans" in str(find_refusal(caught.value))
    assert not (scan.parent / "out").exists()


def test_one_that_was_written_before_is_refused_too(scan, weights):
    out, _ = restore(scan, weights, Blur(9))
    with pytest.raises(RuntimeError) as caught:
        restore(scan, weights, Blur(9), refuse_doubtful=True)
    assert "remove the folder body from the output" in str(find_refusal(caught.value))
    assert (out / "body").is_dir()


def test_without_a_report_nothing_is_measured_and_the_values_are_the_same(scan, weights):
    out, _ = restore(scan, weights, Blur(3))
    with_report = (out / "body" / "body_restored.nii.gz").read_bytes()
    shutil.rmtree(out)
    restore(scan, weights, Blur(3), report="none")
    assert sorted(path.name for path in out.iterdir()) == ["body"]
    assert sorted(path.name for path in (out / "body").iterdir()) == ["body_restored.nii.gz", "restoration.json"]
    assert (out / "body" / "body_restored.nii.gz").read_bytes() == with_report


def test_a_thorough_report_shows_where_the_network_is_not_sure(scan, weights):
    """A shift is no mirror image of itself."""

    class Shift(torch.nn.Module):
        def forward(self, slices):
            return slices.roll(1, -1)

    out, _ = restore(scan, weights, Shift(), report="thorough")
    assert read_record(out / "body").quality.measures.disagreement > 1.0
    assert "Uncertainty of the network" in (out / "report.html").read_text()
    shutil.rmtree(out)
    restore(scan, weights, torch.nn.Identity(), report="thorough")
    assert read_record(out / "body").quality.measures.disagreement == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"report": "short"}, "report is 'short': pass none, brief or thorough"),
        ({"report": "none", "refuse_doubtful": True}, "refuse_doubtful needs a verdict, and report is none"),
    ],
)
def test_other_words_are_refused(scan, weights, given, message):
    with pytest.raises(RuntimeError) as caught:
        restore(scan, weights, Blur(3), **given)
    assert message in str(find_refusal(caught.value))


def test_slices_along_another_axis_are_the_same_slices(scan, weights):
    out, _ = restore(scan, weights, Blur(3))
    expected = read_record(out / "body").quality.measures
    clean = anatomy()
    turned = np.stack([clean + noise(20.0, index) for index in range(3)], axis=0)
    write_nifti(scan / "body.nii.gz", turned)
    restore(scan, weights, Blur(3), slice_axis=0)
    found = read_record(out / "body").quality.measures
    assert found.n_slices == expected.n_slices == 3
    assert found.median("change_edges") == pytest.approx(expected.median("change_edges"), rel=0.02)


class BlurOfThree(Blur):
    """Sees the neighbouring slices, too, and averages over them."""

    context = 1

    def forward(self, slices):
        assert slices.shape[1] == 3
        return super().forward(slices.mean(dim=1, keepdim=True))


def test_a_thorough_report_of_a_network_that_sees_neighbouring_slices(scan, weights):
    out, _ = restore(scan, weights, BlurOfThree(3), report="thorough")
    measures = read_record(out / "body").quality.measures
    assert [one.index for one in measures.slices] == [0, 1, 2]
    # An average is the same however a slice lies, if its neighbours are turned with it.
    assert measures.disagreement == pytest.approx(0.0, abs=0.01)
