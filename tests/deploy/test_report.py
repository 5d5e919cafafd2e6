import errno

import pytest

from bundle.tat.deploy.report import RunReport, noting_failure
from bundle.tat.dicom.study import Skipped
from bundle.tat.refusal import RefusedInputError


def test_a_run_in_which_all_went_well():
    report = RunReport()
    report.skip([Skipped("scout", 1, "a localizer")])
    report.start("a")
    with report.noting_failure("a"):
        report.finish("a", "CT")
    report.check()
    assert [line.split()[0] for line in report.table().splitlines()] == ["case", "scout", "a", "1"]
    assert "skipped   a localizer" in report.table()
    assert report.table().endswith("1 skipped, 1 restored\n")


def test_a_refusal_does_not_stop_the_others():
    report = RunReport()
    with report.noting_failure("a"):
        raise RuntimeError("wrapped") from RefusedInputError("a slice is missing")
    with report.noting_failure("b"):
        report.finish("b", "CT")
    assert "1 failed, 1 restored" in report.table()
    with pytest.raises(RefusedInputError, match=r"1 case failed \(a\)"):
        report.check()


@pytest.mark.parametrize("error", [KeyError("a bug"), OSError(errno.ENOSPC, "no space left")])
def test_errors_of_the_program_and_a_full_disk_do(error):
    report = RunReport()
    with pytest.raises(type(error)), report.noting_failure("a"):
        raise error
    assert not report.rows


def test_a_full_disk_ends_the_run_even_when_it_is_a_refusal():
    with pytest.raises(RefusedInputError), RunReport().noting_failure("a"):
        raise RefusedInputError("cannot write") from OSError(errno.ENOSPC, "no space left")


def test_without_a_report_a_refusal_ends_the_application():
    with pytest.raises(RefusedInputError), noting_failure(None, "a"):
        raise RefusedInputError("a slice is missing")
