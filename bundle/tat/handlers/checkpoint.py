"""Checkpoints of training: all that it needs to continue after a kill, written whole or not at all."""

import logging
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Evaluator, Trainer
from torch import nn

from bundle.tat.atomic import written_whole
from bundle.tat.data.datalist import resolve_path
from bundle.tat.data.sampler import TaskBalancedBatchSampler
from bundle.tat.handlers.training_identity import Identity, refuse_another
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

# What the number of steps depends on, by config id and by its name in the engine's state. The schedule of the learning
# rate depends on it too: with more epochs than it was made for, the cosine would rise again.
BUDGET = {"epochs": "max_epochs", "epoch_length": "epoch_length"}


class Stateful(Protocol):
    """Anything with a state dict."""

    def state_dict(self) -> dict[str, Any]:
        """What it needs to continue."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Continue from there."""


class TrainingCheckpoint:
    """Handler that saves the whole state of training after each epoch, and continues from it at the next start.

    Saved are the objects given, the trainer's step and gradient scaler, the best validation score, the identity of the
    training, and the states of all random generators. The sampler's place in its stream is the step itself. The file
    is replaced in one move, so that a kill during writing leaves the last one. A training whose epochs are all done is
    left as it is, with a warning.

    Args:
        path: file to save to and to continue from; training starts from the beginning when there is none.
        objects: name -> network, average, loss, optimiser, scheduler: everything that changes during training.
        sampler: sampler that must continue at the step of the checkpoint.
        evaluator: engine whose best score is kept.
        training: identity of the training, see ``describe_training``; a checkpoint of another one is refused.
            Checkpoints of version 0.1.0 have none, and what one does not say is not compared.
        is_writer: whether this process writes; one of several ranks does.
    """

    def __init__(
        self,
        path: str,
        objects: Mapping[str, Stateful],
        sampler: TaskBalancedBatchSampler,
        evaluator: Evaluator,
        training: Identity | None = None,
        is_writer: bool = True,
    ) -> None:
        self.path = resolve_path(path)
        self.objects = objects
        self.sampler = sampler
        self.evaluator = evaluator
        self.training = training or {}
        self.is_writer = is_writer

    def attach(self, trainer: Trainer) -> None:
        """Continue when ``trainer`` starts, save after each of its epochs."""
        trainer.add_event_handler(Events.STARTED, self.resume)
        if self.is_writer:
            trainer.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, trainer: Trainer) -> None:
        """Write the state of training."""
        state = {
            "objects": {name: item.state_dict() for name, item in self.objects.items()},
            "iteration": trainer.state.iteration,
            "epoch": trainer.state.epoch,
            "budget": budget_of(trainer),
            "training": self.training,
            "scaler": trainer.scaler.state_dict() if trainer.scaler is not None else {},
            "best_metric": self.evaluator.state.best_metric,
            "best_metric_epoch": self.evaluator.state.best_metric_epoch,
            "random": random_states(),
        }
        save_whole(state, self.path)

    def resume(self, trainer: Trainer) -> None:
        """Continue from the file, if there is one.

        Raises:
            RefusedInputError: the file is damaged, or of another training.
        """
        if not self.path.is_file():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            budget, training = state["budget"], state.get("training", {})
        except Exception as error:
            # torch raises a dozen kinds for a damaged file; the remedy is one.
            raise RefusedInputError(
                f"cannot continue from {self.path}, it is damaged: move it away to start from the beginning"
            ) from error
        refuse_another({**training, **budget}, {**self.training, **budget_of(trainer)}, self.path)
        try:
            for name, item in self.objects.items():
                item.load_state_dict(state["objects"][name])
        except Exception as error:
            raise RefusedInputError(
                f"cannot continue from {self.path}, its network, loss or optimizer is that of another "
                "training: pass the configs that it was trained with, or another --ckpt_dir"
            ) from error
        trainer.state.iteration, trainer.state.epoch = state["iteration"], state["epoch"]
        if trainer.scaler is not None and state["scaler"]:
            trainer.scaler.load_state_dict(state["scaler"])
        self.evaluator.state.best_metric = state["best_metric"]
        self.evaluator.state.best_metric_epoch = state["best_metric_epoch"]
        self.sampler.n_batches_done = state["iteration"]
        set_random_states(state["random"])
        self._tell(trainer)

    def _tell(self, trainer: Trainer) -> None:
        """Log the step that training continues from, or that nothing is left to train."""
        epoch, last = trainer.state.epoch, trainer.state.max_epochs
        if last is not None and epoch >= last:
            logger.warning(
                "nothing left to train: %s has all of its %d epochs; for a new training pass another --ckpt_dir, and "
                "--pretrained to start from these weights",
                self.path,
                epoch,
            )
        else:
            logger.info("training continues from step %d, epoch %d", trainer.state.iteration, epoch)


class BestWeights:
    """Handler that writes the averaged weights, flat, after each validation with the highest score so far.

    Args:
        path: weights file, such as ``models/model.pt``.
        network: network whose weights are written.
        is_writer: whether this process writes; one of several ranks does.
    """

    def __init__(self, path: str, network: nn.Module, is_writer: bool = True) -> None:
        self.path = resolve_path(path)
        self.network = network
        self.is_writer = is_writer

    def attach(self, evaluator: Evaluator) -> None:
        """Write after validations of ``evaluator``."""
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, evaluator: Evaluator) -> None:
        """Write, if this validation is the best so far."""
        if self.is_writer and evaluator.state.best_metric_epoch == evaluator.state.epoch:
            save_whole(self.network.state_dict(), self.path)


def budget_of(trainer: Trainer) -> dict[str, int | None]:
    """What the number of steps of a training depends on, by config id."""
    return {name: getattr(trainer.state, key) for name, key in BUDGET.items()}


def save_whole(content: Mapping[str, Any], path: Path) -> None:
    """``torch.save``, whole or not at all.

    Args:
        content: states or weights.
        path: file to write; its folder is made.
    """
    with written_whole(path) as temporary:
        torch.save(dict(content), temporary)


def random_states() -> dict[str, Any]:
    """States of all global random generators, in types that ``torch.load`` reads with ``weights_only=True``."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002 - the global generator it is
    return {
        "python": random.getstate(),
        "numpy": (str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    """Put all global random generators back; undoes what was drawn since ``random_states``."""
    kind, keys, *rest = states["numpy"]
    random.setstate(states["python"])
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
