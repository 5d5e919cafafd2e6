import pytest
import torch
from ignite.engine import Engine
from torch import nn

from bundle.tat.handlers.ema import WarmedUpEMA


def test_average_follows_the_authors_schedule():
    network = nn.Linear(1, 1, bias=False)
    average = WarmedUpEMA(network, momentum=0.001)
    values = torch.randn(60).tolist()

    def step(engine, value):
        nn.init.constant_(network.weight, value)

    engine = Engine(step)
    average.attach(engine)
    engine.run(values, max_epochs=1)
    expected = 0.0
    for update, value in enumerate(values):
        decay = min(0.999, 1 - (1 + update) ** (-2 / 3))
        expected = decay * expected + (1 - decay) * value
    assert average.ema_model.weight.item() == pytest.approx(expected, rel=1e-5)


def test_the_random_start_is_forgotten_at_once():
    network = nn.Linear(1, 1, bias=False)
    average = WarmedUpEMA(network, momentum=0.001)
    nn.init.constant_(average.ema_model.weight, 1e6)
    engine = Engine(lambda _engine, _batch: None)
    average.attach(engine)
    engine.run([0], max_epochs=1)
    assert torch.equal(average.ema_model.weight, network.weight)


def test_final_decay_is_reached_near_step_31_600():
    engine = Engine(lambda _engine, _batch: None)
    average = WarmedUpEMA(nn.Linear(1, 1), momentum=0.001)
    average.attach(engine)
    for iteration, reached in ((31_000, False), (31_700, True)):
        engine.state.iteration = iteration
        average._update_ema_model(engine, "ema_momentum")
        assert (engine.state.ema_momentum == 0.001) is reached
