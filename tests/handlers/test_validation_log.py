import csv

from ignite.engine import Engine, Events

from bundle.tat.handlers.validation_log import ValidationLog


def validate(log: ValidationLog, epoch: int, **metrics: float) -> None:
    """One validation after an epoch of training, as MONAI's evaluator runs it."""
    engine = Engine(lambda *_: None)
    log.attach(engine)
    engine.state.epoch, engine.state.metrics = epoch, metrics
    engine.fire_event(Events.EPOCH_COMPLETED)


def rows(path) -> list[tuple[str, str]]:
    with path.open(newline="") as file:
        return [(row["epoch"], row["val_psnr"]) for row in csv.DictReader(file)]


def test_epochs_that_are_done_again_replace_their_rows(tmp_path):
    path = tmp_path / "run" / "validation_log.csv"
    log = ValidationLog(str(path))
    for epoch, psnr in ((4, 30.0), (8, 31.0), (12, 32.0), (8, 33.5)):
        validate(log, epoch, val_psnr=psnr)
    assert rows(path) == [("4", "30.0"), ("8", "33.5")]


def test_other_ranks_write_nothing(tmp_path):
    validate(ValidationLog(str(tmp_path / "log.csv"), is_writer=False), 1, val_psnr=1.0)
    assert not list(tmp_path.iterdir())
