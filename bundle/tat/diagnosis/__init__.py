"""Diagnosis of a trained network by task: gradients, representations, the course of training."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.diagnosis.report import report_gradients as report_gradients
    from bundle.tat.diagnosis.report import report_representations as report_representations
    from bundle.tat.diagnosis.report import report_training as report_training
    from bundle.tat.diagnosis.samples import TaskSamples as TaskSamples
    from bundle.tat.diagnosis.samples import draw_samples as draw_samples
    from bundle.tat.diagnosis.samples import read_configs as read_configs
    from bundle.tat.diagnosis.samples import read_loss as read_loss
    from bundle.tat.diagnosis.samples import read_network as read_network
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
