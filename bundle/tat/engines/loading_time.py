"""How much of training is spent waiting for data."""

from time import perf_counter

from ignite.engine import Engine, Events


class LoadingClock:
    """Handler that measures the share of the steps' time that they wait for their batch.

    Only the time of steps counts, from asking for a batch to the end of the step: validation and saving between epochs
    do not make loading look short.
    """

    def __init__(self) -> None:
        self._step_started = 0.0
        self._waited = 0.0
        self._total = 0.0

    def attach(self, engine: Engine) -> None:
        """Measure the steps of ``engine``."""
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._ask)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._receive)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._finish)

    def take_share(self) -> float:
        """Share of the time since the last call, in [0, 1]; 0 when there was no step."""
        share = self._waited / self._total if self._total else 0.0
        self._waited = self._total = 0.0
        return share

    def _ask(self) -> None:
        self._step_started = perf_counter()

    def _receive(self) -> None:
        self._waited += perf_counter() - self._step_started

    def _finish(self) -> None:
        self._total += perf_counter() - self._step_started
