"""Training losses; they see intensities, never a modality."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.losses.plain import PlainL1Loss as PlainL1Loss
    from bundle.tat.losses.task_balancing import TaskAdaptiveLoss as TaskAdaptiveLoss
    from bundle.tat.losses.task_balancing import from_reference as from_reference
    from bundle.tat.losses.task_balancing import to_reference as to_reference
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
