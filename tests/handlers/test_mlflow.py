"""The handler's store, run and refusal; tests/configs/test_train.py tracks a whole training."""

import os
import sqlite3
import sys

import pytest
import torch
from ignite.engine import Engine, Events

from bundle.tat.handlers.mlflow import MLflowTracker
from bundle.tat.refusal import RefusedInputError

# What MLflow's own dependencies warn of is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


def train(path, *, max_epochs=2, fails_at=None):
    """Train nothing for epochs of four steps, which log every second step and are validated."""

    def step(engine, batch):
        if engine.state.iteration == fails_at:
            raise KeyboardInterrupt
        engine.state.training_log = {"weight/CT": 10.0 * engine.state.iteration}
        return {"loss": torch.tensor(float(engine.state.iteration))}

    trainer, evaluator = Engine(step), Engine(lambda *_: None)
    evaluator.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(val_psnr=30.0))
    MLflowTracker(str(path), evaluator, interval=2).attach(trainer)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        evaluator.run([None], max_epochs=engine.state.epoch)

    trainer.run([None] * 4, max_epochs=max_epochs)


def read(path, query):
    with sqlite3.connect(path) as store:
        rows = store.execute(query).fetchall()
    store.close()
    return rows


@pytest.fixture
def store(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "new folder" / "mlflow.db"


def test_steps_and_validations_are_in_one_run(store):
    train(store)
    assert read(store, "select status from runs") == [("FINISHED",)]
    metrics = "select key, step, value from metrics order by key, step"
    assert read(store, metrics) == [
        *(("train_loss", step, float(step)) for step in (2, 4, 6, 8)),
        *(("val_psnr", epoch, 30.0) for epoch in (1, 2)),
        *(("weight/CT", step, 10.0 * step) for step in (2, 4, 6, 8)),
    ]


def test_a_stopped_training_goes_on_with_its_run(store):
    with pytest.raises(KeyboardInterrupt):
        train(store, fails_at=6)
    assert read(store, "select status from runs") == [("RUNNING",)]
    train(store)
    assert read(store, "select status from runs") == [("FINISHED",)]
    train(store)
    assert read(store, "select status from runs") == [("FINISHED",)] * 2


def test_nothing_is_sent_unless_it_is_wished(store):
    from mlflow.telemetry.utils import is_telemetry_disabled

    train(store, max_epochs=1)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert is_telemetry_disabled()


def test_without_mlflow_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(RefusedInputError, match=r"mlflow needs mlflow: run pip install '\.\[mlflow\]'"):
        MLflowTracker(str(tmp_path / "mlflow.db"), Engine(lambda *_: None))
    assert not list(tmp_path.iterdir())
