"""The script that puts the benchmarks' figures into the documents."""

from __future__ import annotations

import hashlib
import importlib
import json

import pytest

from bundle.tat.cases.record import CaseRecord, write_record
from bundle.tat.provenance import Provenance


@pytest.fixture
def documents(monkeypatch):
    return importlib.import_module("scripts.benchmarks.documents")


@pytest.fixture
def tabulate(monkeypatch):
    return importlib.import_module("scripts.benchmarks.tabulate_benchmark")


def score(mean):
    return {"mean": mean, "interval": {"low": mean - 1, "high": mean + 1}}


def method(psnr, parameter=None):
    return {"parameter": parameter, "slices": {"psnr": score(psnr), "ssim": score(0.9), "rmse": score(7.126)}}


def test_only_what_stands_between_marks_is_replaced(documents, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- scores -->\nold\nold\n<!-- /scores -->\nbetween\n<!-- other -->\nkept\n<!-- /other -->\n"
    )
    documents.fill([page], {"scores": "new"})
    assert page.read_text() == (
        "before\n<!-- scores -->\nnew\n\n<!-- /scores -->\nbetween\n<!-- other -->\nkept\n<!-- /other -->\n"
    )
    documents.fill([page], {"scores": "newer"})
    assert "newer\n\n<!-- /scores -->" in page.read_text()
    with pytest.raises(SystemExit, match="no marks for lost"):
        documents.fill([page], {"scores": "newest", "lost": "table"})


def test_gains_are_over_the_input(tabulate):
    methods = {"restored": method(34.2), "gaussian": method(31.5, 0.8), "input": method(30.0)}
    summary = {"tasks": {"CT": {"unit": "HU", "n_slices": 16, "methods": methods}}}
    lines = tabulate.quality(summary).splitlines()
    assert lines[2:] == [
        "| CT, 16 slices | degraded | 30.00 (29.00 to 31.00) |  | 0.900 | 7.13 HU |",
        "|  | gaussian (0.8) | 31.50 (30.50 to 32.50) | +1.50 | 0.900 | 7.13 HU |",
        "|  | **restored** | 34.20 (33.20 to 35.20) | +4.20 | 0.900 | 7.13 HU |",
    ]
    assert len(tabulate.quality(summary, ("input", "restored")).splitlines()) == 4


def test_every_condition_has_its_place(tabulate):
    psnr = {
        f"{part.name}_low": {"input": 20.0, "restored": 20.0 + index} for index, part in enumerate(tabulate.ROBUSTNESS)
    }
    text = tabulate.robustness(psnr)
    for index, part in enumerate(tabulate.ROBUSTNESS):
        assert (f" {20 + index:.1f} dB |" if tabulate.share_kept(part) == 1 else f" +{index:.2f} |") in text


def test_anatomy_that_is_scored_has_a_line(tabulate, tmp_path):
    first, second, *_ = tabulate.ANATOMY
    table = tmp_path / "robustness.csv"
    table.write_text(
        f"case,method,psnr\n{second.name}_low,input,31.25\n{second.name}_low,gaussian,3\n{second.name}_low,restored,32.5\n"
        f"{first.name}_low,input,\n{first.name}_low,restored,\n"  # every slice of its label is constant
    )
    lines = tabulate.anatomy(tabulate.psnr_by_case(table)).splitlines()
    assert lines[2:] == [f"| {second.modality.value} | {tabulate.ANATOMY[second]} | 31.25 | 32.50 | +1.25 |"]
    assert first.subject not in "".join(lines)


def test_a_wrong_word_is_shown_beside_the_right_one(tabulate):
    gain = {"refused_again": None, "input": 30.0}
    text = tabulate.wrong_modality(
        [
            {"scan": "CT", "declared": "CT", "refused": None, "restored": 34.0, **gain},
            {"scan": "CT", "declared": "MRI", "refused": "k-space (of .1): pass more", "restored": 29.5, **gain},
            {"scan": "CT", "declared": "PET", "refused": "no SUV: convert", "refused_again": "no SUV: convert"},
        ]
    )
    assert text.splitlines()[2:] == [
        "| CT | CT (right) | +4.00 dB |  |",
        "| CT | MRI | refused: k-space (of .1) | -0.50 dB |",
        "| CT | PET | refused: no SUV | refused: no SUV |",
    ]


def test_the_documents_of_a_folder_of_results_are_filled(tabulate, tmp_path, monkeypatch, capsys):
    page = tmp_path / "README.md"
    page.write_text("<!-- phantom -->\n\n<!-- /phantom -->\n")
    monkeypatch.setattr(tabulate, "ROOT", tmp_path)
    monkeypatch.setattr(tabulate, "DOCUMENTS", ("README.md",))
    disc = {"contrast": 99.84, "rise": 1.468}
    (tmp_path / "phantom.json").write_text(json.dumps({"100": {"clean": disc, "input": disc, "restored": disc}}))
    (tmp_path / "model.pt").write_bytes(b"weights")
    tabulate.main(["--eval", str(tmp_path), "--weights", str(tmp_path / "model.pt")])
    assert page.read_text().splitlines()[3] == "| 100 HU | 99.8 HU, 1.47 mm | 99.8 HU, 1.47 mm | 99.8 HU, 1.47 mm |"
    assert "filled phantom" in capsys.readouterr().out


@pytest.mark.parametrize("stale", ["testing/ct_low", "quality/summary.json"])
def test_tables_of_other_weights_are_refused(tabulate, tmp_path, monkeypatch, stale):
    page = tmp_path / "README.md"
    page.write_text("<!-- phantom -->\n\n<!-- /phantom -->\n")
    monkeypatch.setattr(tabulate, "ROOT", tmp_path)
    monkeypatch.setattr(tabulate, "DOCUMENTS", ("README.md",))
    (tmp_path / "phantom.json").write_text("{}")
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"new")
    new, old = (hashlib.sha256(content).hexdigest() for content in (b"new", b"old"))
    for name in ("testing/ct_low", "phantom/restored/ct_phantom_low"):
        (tmp_path / name).mkdir(parents=True)
        write_record(tmp_path / name, CaseRecord(tmp_path.name, "CT", Provenance(old if name == stale else new, "0")))
    (tmp_path / "quality").mkdir()
    summary = {"weights_sha256": old if stale.startswith("quality") else new}
    (tmp_path / "quality" / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(SystemExit, match=f"{stale} was not made with .*model.pt: make it again"):
        tabulate.main(["--eval", str(tmp_path), "--weights", str(weights)])
    assert page.read_text() == "<!-- phantom -->\n\n<!-- /phantom -->\n"


def test_other_results_beside_the_benchmarks_do_not_matter(tabulate, tmp_path):
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"new")
    (tmp_path / "mine").mkdir()
    write_record(tmp_path / "mine", CaseRecord("mine", "CT", Provenance("0" * 64, "0")))
    tabulate.check_weights(tmp_path, weights)


def test_what_was_kept_is_shown_before_and_after(tabulate):
    text = tabulate.fidelity({"pet": {"input": {"lesion_max": 0.113}, "restored": {"lesion_max": -0.126}}})
    assert "| pet | SUVmax of the tumour: relative error | +11.3 % | -12.6 % |" in text


def test_what_the_projection_costs_is_shown(tabulate):
    mri = {"kspace_error": 0.028, "psnr": 29.694, "ssim": 0.8764}
    projected = {"kspace_error": 0.0, "psnr": 29.64, "ssim": 0.823}
    text = tabulate.fidelity({"mri": {"input": mri | {"kspace_error": 0.0}, "restored": mri, "projected": projected}})
    assert "| mri | measured k-space: relative error | +0.0 % | +2.8 % |" in text
    assert "| mri | PSNR, SSIM with `data_consistency` |  | 29.64 dB, 0.823 |" in text


def test_scores_say_what_they_are_of(tabulate):
    summary = {"protocol": "tat-2d-v1", "weights_sha256": "0123456789abcdef" * 4, "bundle_version": "0.1.0"}
    assert tabulate.provenance(summary) == "Protocol `tat-2d-v1`; weights `0123456789abcdef` (SHA-256); version 0.1.0."
