"""Evaluating restored cases: scores, their statistics, and plain filters to compare with."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.evaluation.baseline_filters import find_filters as find_filters
    from bundle.tat.evaluation.cases import Case as Case
    from bundle.tat.evaluation.cases import read_cases as read_cases
    from bundle.tat.evaluation.comparison import compare_runs as compare_runs
    from bundle.tat.evaluation.report import EvaluationReport as EvaluationReport
    from bundle.tat.evaluation.restored import score_restored as score_restored
    from bundle.tat.evaluation.scoring import evaluate_whole as evaluate_whole
    from bundle.tat.evaluation.scoring import score_case as score_case
    from bundle.tat.evaluation.statistics import bootstrap_interval as bootstrap_interval
    from bundle.tat.evaluation.statistics import paired_wilcoxon as paired_wilcoxon
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
