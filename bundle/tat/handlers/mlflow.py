"""Training and validation in MLflow, on this machine only (needs the extra ``tracking``)."""

import os
from importlib import import_module
from typing import Any, Final

from ignite.engine import Engine, Events
from monai.handlers import MLFlowHandler
from monai.utils import CommonKeys, path_to_sqlite_uri

from bundle.tat.data.datalist import resolve_path
from bundle.tat.handlers.training_log import LoggedSteps
from bundle.tat.optional import MissingPackageError, import_optional
from bundle.tat.refusal import RefusedInputError

EXPERIMENT: Final = "tat_medical_image_restoration"


class MLflowTracker(MLFlowHandler):
    """MONAI's MLflow handler, for a training and its validations in one run.

    Tracked are the loss as ``train_loss`` and what ``TrainingLog`` logs, by step, and the validation's metrics, by
    epoch. A training that continues from a checkpoint continues its run.

    MLflow sends data about its use to its makers unless ``MLFLOW_DISABLE_TELEMETRY`` is set. Here it is set to
    ``true``, unless the user has set it. Where ``MLFLOW_TRACKING_URI`` is set, it names the store.

    Args:
        path: SQLite file to write to; its folder is made.
        evaluator: engine that validates.
        interval: of ``LoggedSteps``, that of the ``TrainingLog``, which is attached before this.

    Raises:
        RefusedInputError: MLflow is not installed.
    """

    def __init__(self, path: str, evaluator: Engine, *, interval: int = 100) -> None:
        import_mlflow()
        store = resolve_path(path)
        store.parent.mkdir(parents=True, exist_ok=True)
        self.evaluator = evaluator
        super().__init__(
            tracking_uri=path_to_sqlite_uri(store),
            iteration_log=LoggedSteps(interval),
            iteration_logger=self.log_step,
            epoch_log=False,
            experiment_name=EXPERIMENT,
            close_on_complete=True,
        )

    def attach(self, engine: Engine) -> None:
        """Track the steps of ``engine``, a trainer, and its validations."""
        super().attach(engine)
        self.evaluator.add_event_handler(Events.EPOCH_COMPLETED, self.log_validation)

    def log_step(self, trainer: Engine) -> None:
        """Track what this step logged."""
        state: Any = trainer.state
        loss = float(state.output[CommonKeys.LOSS])
        self._log_metrics({"train_loss": loss, **state.training_log}, step=state.iteration)

    def log_validation(self, evaluator: Engine) -> None:
        """Track the metrics of this validation."""
        self._log_metrics(evaluator.state.metrics, step=evaluator.state.epoch)


def import_mlflow() -> None:
    """Import MLflow, with its telemetry switched off.

    Raises:
        RefusedInputError: it is not installed.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import_optional("mlflow", extra="mlflow")
    except MissingPackageError as error:
        raise RefusedInputError(str(error)) from error
    # MONAI has imported MLflow before, which read the variable then.
    import_module("mlflow.telemetry").set_telemetry_client()
