"""Ignite handlers and metrics of training and validation."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.handlers.checkpoint import BestWeights as BestWeights
    from bundle.tat.handlers.checkpoint import TrainingCheckpoint as TrainingCheckpoint
    from bundle.tat.handlers.ema import WarmedUpEMA as WarmedUpEMA
    from bundle.tat.handlers.mlflow import MLflowTracker as MLflowTracker
    from bundle.tat.handlers.optimisation import GradientClipper as GradientClipper
    from bundle.tat.handlers.optimisation import LearningRateStepper as LearningRateStepper
    from bundle.tat.handlers.restoration_metric import RestorationMetric as RestorationMetric
    from bundle.tat.handlers.training_identity import describe_training as describe_training
    from bundle.tat.handlers.training_log import LoggedSteps as LoggedSteps
    from bundle.tat.handlers.training_log import TrainingLog as TrainingLog
    from bundle.tat.handlers.validation_log import ValidationLog as ValidationLog
    from bundle.tat.handlers.validation_pictures import ValidationPictures as ValidationPictures
    from bundle.tat.handlers.weights_loader import WeightsLoader as WeightsLoader
    from bundle.tat.handlers.weights_loader import load_weights as load_weights
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
