"""The optimiser's steps: clipping the gradient before each, and the learning rate after it."""

import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from torch import nn

from bundle.tat.refusal import RefusedInputError


class GradientClipper:
    """Handler that limits the norm of the gradient before each optimiser step.

    Under automatic mixed precision the gradient is unscaled first; with gradient accumulation only the whole gradient
    is clipped, never a part of it. The norm before clipping is left in ``engine.state.gradient_norm``.

    Args:
        max_norm: largest norm over all parameters together; ``None`` measures and clips nothing.
        modules: modules whose parameters the optimiser steps.

    Raises:
        RefusedInputError: ``max_norm`` is not positive.
    """

    def __init__(self, max_norm: float | None, modules: list[nn.Module]) -> None:
        if max_norm is not None and max_norm <= 0:
            raise RefusedInputError(f"max_norm is {max_norm}: pass a positive norm, or None to clip nothing")
        self.max_norm = float("inf") if max_norm is None else max_norm
        self.modules = modules

    def attach(self, engine: Engine) -> None:
        """Clip after each backward pass of ``engine``."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Clip, if the optimiser is about to step."""
        if not is_step(engine):
            return
        if engine.scaler is not None:
            engine.scaler.unscale_(engine.optimizer)
        parameters = [parameter for module in self.modules for parameter in module.parameters()]
        norm = nn.utils.clip_grad_norm_(parameters, self.max_norm)
        engine.state.gradient_norm = float(norm)


class LearningRateStepper:
    """Handler that steps a scheduler whenever the optimiser has stepped.

    MONAI's ``LrScheduleHandler`` steps at every iteration, with gradient accumulation before the first optimiser step.

    Args:
        lr_scheduler: scheduler that counts optimiser steps.
    """

    def __init__(self, lr_scheduler: torch.optim.lr_scheduler.LRScheduler) -> None:
        self.lr_scheduler = lr_scheduler

    def attach(self, engine: Engine) -> None:
        """Step after the iterations of ``engine``."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Step, if the optimiser did."""
        if is_step(engine):
            self.lr_scheduler.step()


def is_step(engine: SupervisedTrainer) -> bool:
    """Whether the optimiser steps in this iteration: every ``accumulation_steps``, and at the end of an epoch."""
    epoch_length = int(engine.state.epoch_length)
    n_done = (int(engine.state.iteration) - 1) % epoch_length + 1
    return n_done % int(engine.accumulation_steps) == 0 or n_done == epoch_length
