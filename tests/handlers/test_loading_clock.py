import pytest
from ignite.engine import Engine, Events

from bundle.tat.handlers import training_log


@pytest.fixture
def shares(monkeypatch):
    """What the clock says after each of two epochs of three steps, whose parts take so many seconds."""

    def measure(loading: float, working: float, *, after_epoch: float = 0.0) -> list[float]:
        now = [100.0]
        monkeypatch.setattr(training_log, "perf_counter", lambda: now[0])

        def spend(seconds: float) -> None:
            now[0] += seconds

        def batches():
            while True:
                spend(loading)
                yield None

        engine = Engine(lambda *_: spend(working))
        clock, taken = training_log.LoadingClock(), []
        clock.attach(engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: taken.append(clock.take_share()))
        engine.add_event_handler(Events.EPOCH_COMPLETED, spend, after_epoch)
        engine.run(batches(), max_epochs=2, epoch_length=3)
        return taken

    return measure


@pytest.mark.parametrize(("loading", "working", "share"), [(3.0, 1.0, 0.75), (1.0, 3.0, 0.25), (0.0, 2.0, 0.0)])
def test_share_of_loading(shares, loading, working, share):
    assert shares(loading, working) == pytest.approx([share] * 2)


def test_what_happens_between_epochs_does_not_count(shares):
    assert shares(2.0, 2.0, after_epoch=300.0) == pytest.approx([0.5, 0.5])


def test_without_a_step_nothing_was_loaded():
    assert training_log.LoadingClock().take_share() == 0.0
