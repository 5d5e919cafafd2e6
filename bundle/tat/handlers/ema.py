"""The average of the weights over training, which is validated and shipped."""

from ignite.engine import Engine
from ignite.handlers import EMAHandler

# Exponent of the warm-up: the average of step t keeps 1 - (1 + t)^(-2/3) of what it was, until the final decay.
WARM_UP_POWER = 2 / 3


class WarmedUpEMA(EMAHandler):
    """Ignite's exponential moving average with the authors' warm-up: decay ``min(1 - momentum, 1 - (1 + t)^(-2/3))``.

    Without it, a thousand steps after the start the average still holds a third of the random weights that training
    began with.

    Args:
        model: network to average; of a distributed one, the module inside.
        momentum: 1 - the final decay.

    Source:
        The authors' training uses this schedule through the library it takes its average from.
    """

    def _update_ema_model(self, engine: Engine, name: str) -> None:
        setattr(engine.state, name, max(self.momentum, engine.state.iteration**-WARM_UP_POWER))
        super()._update_ema_model(engine, name)
