from bundle.tat.cases.table import CaseRow, format_table


def test_columns_are_aligned_and_results_are_counted():
    rows = [
        CaseRow("a", "CT", "restored", 12.34),
        CaseRow("a longer name", "", "failed: no modality", 0.04, is_failure=True),
        CaseRow("c", "MRI", "restored again: other weights", 3.0),
        CaseRow("d", "PET", "restored"),
    ]
    assert format_table(rows).splitlines() == [
        "case           modality  seconds  result",
        "a              CT           12.3  restored",
        "a longer name                0.0  failed: no modality",
        "c              MRI           3.0  restored again: other weights",
        "d              PET           0.0  restored",
        "2 restored, 1 failed, 1 restored again",
    ]


def test_a_run_without_cases_says_so():
    assert format_table([]).splitlines()[-1] == "no cases"
