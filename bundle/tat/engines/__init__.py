"""Engines: the loop over training steps, and the loop over cases."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.engines.case_runner import CaseRunner as CaseRunner
    from bundle.tat.engines.distributed import join_ranks as join_ranks
    from bundle.tat.engines.distributed import leave_ranks as leave_ranks
    from bundle.tat.engines.distributed import synchronised as synchronised
    from bundle.tat.engines.muon import MuonWithAdamW as MuonWithAdamW
    from bundle.tat.engines.restoration import RestorationEvaluator as RestorationEvaluator
    from bundle.tat.engines.trainer import RestorationTrainer as RestorationTrainer
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
