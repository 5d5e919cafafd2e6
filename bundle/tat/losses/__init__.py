"""Training losses; they see numbers, never a modality."""

from bundle.tat.losses.plain import PlainL1Loss
from bundle.tat.losses.task_balancing import TaskAdaptiveLoss, from_reference, to_reference

__all__ = ["PlainL1Loss", "TaskAdaptiveLoss", "from_reference", "to_reference"]
