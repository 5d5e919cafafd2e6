"""The page: what it says, that it needs nothing else, and that it names no patient."""

import json
import re
from dataclasses import replace

import pytest

from bundle.tat.cases.table import CaseRow
from bundle.tat.modality import Modality
from bundle.tat.quality.calibration import NO_CALIBRATION
from bundle.tat.refusal import RefusedInputError
from bundle.tat.report.collect import read_run
from bundle.tat.report.page import MAX_PICTURED, render_page
from bundle.tat.report.words import measured_lines
from bundle.tat.report.writer import ReportWriter
from bundle.tat_command import main
from tests.quality.helper import calibration, measured
from tests.report.helper import SHA256, write_case


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    write_case(folder, "fine", thorough=True)
    write_case(folder, "blurred & <i>", blur=2.5)
    write_case(folder, "old", is_measured=False)
    rows = [
        CaseRow("bad", "CT", "failed", "/data/Doe John/bad.nii: 3 of 9 voxels are NaN"),
        CaseRow("Doe John/scout", "", "skipped", "a localizer (scout), which is no slice of a volume"),
        CaseRow("fine", "CT", "skipped", "finished by an earlier run"),
    ]
    ReportWriter(folder).write(rows)
    return folder


@pytest.fixture(scope="module")
def page(out) -> str:
    return render_page(read_run(out), calibration(SHA256))


def text_of(page: str) -> str:
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_it_says_the_verdict_of_each_scan_the_most_doubtful_first(page):
    names = re.findall(r'<td class="name"><a href="#case-\d">([^<]+)</a>', page)
    assert names == ["blurred &amp; &lt;i&gt;", "fine", "old"]
    text = text_of(page)
    for words in ("1 as trained", "1 do not use", "1 not measured", "1 refused", "1 skipped", "came out worse than"):
        assert words in text


def test_beside_each_verdict_stands_what_to_do(page):
    """A reader who jumps to a scan has not read the legend."""
    cards = [text_of(card) for card in page.split('<section class="card"')[1:]]
    assert "Use the input." in cards[0]
    assert "This does not prove that the scan is right." in cards[1]


def test_a_change_of_a_negative_total_has_the_sign_of_the_change():
    measures = replace(measured(lambda clean: clean), modality=Modality.PET, activity=(-4.0, -2.0))
    assert "(+50.0 %)" in next(line.value for line in measured_lines(measures, None) if line.name == "Total activity")


def test_every_measure_has_a_value_and_a_sentence(page):
    lines = re.findall(r'<tr><th scope="row">(.*?)</th><td class="value">(.*?)</td><td>(.*?)</td></tr>', page)
    assert len(lines) > 20
    for name, value, meaning in lines:
        assert name
        assert re.search(r"\d", value)
        assert meaning.endswith(".")
        assert len(meaning.split()) <= 30


def test_every_measure_has_a_unit_or_says_that_it_has_none(page):
    """A ratio, a share, a range or a unit stands behind each number."""
    unit = re.compile(r"(HU|%|mm|no unit\))$")
    for value in re.findall(r'<td class="value">(.*?)</td>', page):
        assert unit.search(value), value


@pytest.mark.parametrize(
    ("restored", "said", "not_said"),
    [
        ({"in_planes": True, "thorough": True}, ("in its three planes", "of the stored plane alone"), ()),
        ({"in_planes": True}, ("in its three planes",), ("stored plane",)),
        ({"in_planes": True, "is_measured": False}, ("in its three planes",), ("stored plane",)),
        ({"thorough": True}, (), ("three planes", "stored plane")),
    ],
    ids=str,
)
def test_it_says_which_scans_were_restored_in_three_planes(tmp_path, restored, said, not_said):
    write_case(tmp_path, "scan", **restored)
    text = text_of(render_page(read_run(tmp_path), NO_CALIBRATION))
    assert all(words in text for words in said)
    assert not any(words in text for words in not_said)


def test_nothing_is_fetched(page):
    assert set(re.findall(r'(?:src|href)="([^"]{0,5})', page)) <= {"data:", "#case", "#cases", "#"} | set(
        re.findall(r'href="(#[^"]{0,4})', page)
    )
    assert "url(http" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page


def test_it_names_no_patient(page, out):
    for words in ("Doe", "/data"):
        assert words not in page
        assert words not in (out / "report.json").read_text()
    assert "the scan: 3 of 9 voxels are NaN" in page
    assert "uid_seed" not in page


def test_pictures_stay_small(page):
    assert len(page) < 20 * 500_000 / 10


def test_only_the_most_doubtful_of_many_have_pictures(tmp_path):
    for index in range(MAX_PICTURED + 2):
        write_case(tmp_path, f"case{index}")
    page = render_page(read_run(tmp_path), NO_CALIBRATION)
    assert page.count('class="viewer"') == 2 * MAX_PICTURED
    assert page.count("most doubtful scans have pictures") == 2
    assert len(page.encode()) < 10e6


def test_twenty_of_full_size_stay_below_ten_megabytes(tmp_path):
    write_case(tmp_path, "large", side=512)
    page = render_page(read_run(tmp_path), calibration(SHA256))
    assert 20 * len(page.encode()) < 10e6  # with white noise on every pixel, which compresses worst


def test_another_calibration_says_nothing_of_these_scans(out):
    page = render_page(read_run(out), calibration("cd" * 32))
    assert "Distance from training" not in page


def test_the_verb_writes_it_anew(out, capsys):
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "report.html")
    assert (out / "report.html").is_file()


@pytest.mark.parametrize(("status", "stays"), [("restored", False), ("skipped", True), ("failed", True)])
def test_without_a_report_a_page_of_images_that_are_gone_is_removed(tmp_path, status, stays):
    write_case(tmp_path, "fine")
    old = ReportWriter(tmp_path).write([CaseRow("fine", "CT", "restored")])
    assert ReportWriter(tmp_path, kind="none").write([CaseRow("fine", "CT", status)]) is None
    assert old.exists() is stays


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="holds no restored scan: pass the output folder of tat restore"):
        ReportWriter(tmp_path).rewrite()


def test_what_a_run_left_out_is_kept(out):
    assert {one["reason"] for one in json.loads((out / "report.json").read_text())["left_out"]} == {
        "the scan: 3 of 9 voxels are NaN",
        "a localizer (scout), which is no slice of a volume",
    }
