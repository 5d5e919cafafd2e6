"""The cases of a run: record, fingerprint, whether a case is finished, and the table at the end."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.cases.finished import CompletedCases as CompletedCases
    from bundle.tat.cases.record import CaseRecord as CaseRecord
    from bundle.tat.cases.record import read_record as read_record
    from bundle.tat.cases.refusals import explain_failure as explain_failure
    from bundle.tat.cases.refusals import find_refusal as find_refusal
    from bundle.tat.cases.settings import parse_bool as parse_bool
    from bundle.tat.cases.settings import parse_weight as parse_weight
    from bundle.tat.cases.settings import result_settings as result_settings
    from bundle.tat.cases.sharding import Ranks as Ranks
    from bundle.tat.cases.sharding import share_of_rank as share_of_rank
    from bundle.tat.cases.table import CaseRow as CaseRow
    from bundle.tat.cases.table import format_table as format_table
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
