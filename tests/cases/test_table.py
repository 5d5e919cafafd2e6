import pytest

from bundle.tat.cases.table import CaseRow, check_failures, format_table
from bundle.tat.refusal import RefusedInputError


def test_columns_are_aligned_and_statuses_are_counted():
    rows = [
        CaseRow("a", "CT", "restored", seconds=12.34),
        CaseRow("a longer name", "", "failed", "no modality", 0.04),
        CaseRow("c", "MRI", "restored", "again: made with other weights", 3.0),
        CaseRow("d", "PET", "skipped", "finished by an earlier run"),
    ]
    assert format_table(rows).splitlines() == [
        "case           modality  seconds  status    message",
        "a              CT           12.3  restored",
        "a longer name                0.0  failed    no modality",
        "c              MRI           3.0  restored  again: made with other weights",
        "d              PET           0.0  skipped   finished by an earlier run",
        "2 restored, 1 failed, 1 skipped",
    ]


def test_a_run_without_cases_says_so():
    assert format_table([]).splitlines()[-1] == "no cases"


def test_only_failures_are_an_error():
    rows = [CaseRow(name, "CT", "failed" if name > "b" else "restored", "bad") for name in "abcdefg"]
    check_failures([*rows[:2], CaseRow("study/scout", "", "skipped", "a localizer")])
    with pytest.raises(RefusedInputError, match=r"^5 cases failed \(c, d, e, \.\.\.\): the table gives the reasons"):
        check_failures(rows)
    with pytest.raises(RefusedInputError, match=r"^1 case failed \(c\)"):
        check_failures(rows[:3])


def test_a_case_alone_is_refused_in_its_own_words():
    with pytest.raises(RefusedInputError, match=r"^a slice is missing$"):
        check_failures([CaseRow("a", "CT", "failed", "a slice is missing")])
