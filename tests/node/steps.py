"""A node whose steps a test takes, one by one."""

from collections.abc import Callable
from pathlib import Path

from bundle.tat.node.files import NodeFiles
from bundle.tat.node.service import Node
from tests.node.network import Archive, Copies, StillClock, settings_of, wait_until


class Steps:
    """A node that listens; time passes and steps are taken when a test says so."""

    def __init__(
        self,
        folder: Path,
        archive: Archive,
        *,
        clock: StillClock | None = None,
        free_bytes: Callable[[], int] | None = None,
        **more,
    ) -> None:
        self.clock = clock or StillClock()
        self.copies = Copies(folder / "results")
        settings, files = settings_of(folder, archive, **more), NodeFiles(folder)
        self.node = Node(settings, files, self.copies, clock=self.clock, free_bytes=free_bytes)
        self.queue = self.node.queue
        self.node.recover()
        self.node.receiver.start(poll_seconds=0.02)
        self.port = self.node.receiver.port

    def wait_for_callers(self) -> None:
        wait_until(self.queue, lambda: not self.node.receiver.n_callers)

    def complete(self) -> None:
        """Let the quiet time pass."""
        self.wait_for_callers()
        self.node.complete_series()
        self.clock.pass_by(10.0)
        self.node.complete_series()

    def finish(self) -> None:
        """Restore and send the next series."""
        assert self.node.restore_next()
        assert self.node.send_next()

    def end(self) -> None:
        self.node.receiver.stop()
        self.queue.close()
