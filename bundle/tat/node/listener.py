"""The socket of the node: callers are checked before a byte of DICOM is read. Importing it needs the extra ``node``."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from socketserver import TCPServer
from threading import Lock, Thread
from typing import Any, Final

from pynetdicom.transport import ThreadedAssociationServer

# A caller that has connected and not finished the handshake of TLS is dropped after this time [s].
HANDSHAKE_TIMEOUT: Final = 10.0
# When the system asks a silent caller whether it is still there [s], how often again, and how many times without an
# answer. A broken line is known before the node ends an association for its silence.
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
# Connections at a time, for each association that is allowed: others are dropped unread.
_CONNECTIONS_PER_ASSOCIATION: Final = 2


class Listener(ThreadedAssociationServer):
    """pynetdicom's server, which drops callers from addresses that are not allowed, and those above a limit.

    pynetdicom does the handshake of TLS in the thread that accepts connections, where one silent caller would block all
    others. Here each handshake has a thread of its own, for ``HANDSHAKE_TIMEOUT`` at most.

    Args:
        *args: as for pynetdicom's server.
        **kwargs: as for pynetdicom's server.

    Attributes:
        tls: of the connections; ``None`` for plain ones.
        is_allowed: whether an address may connect.
        on_refused: is called for each connection that is dropped.
        poll_seconds: time between two checks whether the server is to end [s].
    """

    daemon_threads = True
    is_allowed: Callable[[str], bool]
    on_refused: Callable[[], None]
    tls: ssl.SSLContext | None = None
    poll_seconds = 0.5

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock = Lock()
        self._n_handshakes = 0
        super().__init__(*args, **kwargs)

    def serve_in_thread(self) -> None:
        """Take connections until ``shutdown``."""
        Thread(target=self.serve_forever, args=(self.poll_seconds,), name="listener", daemon=True).start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take a connection, and have the system watch over it."""
        connection, address = super().get_request()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE:
            if hasattr(socket, name):  # not every system lets us say how
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the interface
        """Whether a connection is accepted."""
        n_connections = len(self.active_associations) + self._n_handshakes
        is_taken = self.is_allowed(client_address[0])
        is_taken = is_taken and n_connections < _CONNECTIONS_PER_ASSOCIATION * self.ae.maximum_associations
        if not is_taken:
            self.on_refused()
        return is_taken

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection, in a thread of its own."""
        if self.tls is not None:
            try:
                request = self._shake_hands(request, self.tls)
            except OSError:
                self.on_refused()
                request.close()
                return
        super().finish_request(request, client_address)

    def _shake_hands(self, request: Any, tls: ssl.SSLContext) -> ssl.SSLSocket:
        """The connection within TLS."""
        with self._lock:
            self._n_handshakes += 1
        try:
            timeout = request.gettimeout()
            request.settimeout(HANDSHAKE_TIMEOUT)
            wrapped = tls.wrap_socket(request, server_side=True)
            wrapped.settimeout(timeout)
            return wrapped
        finally:
            with self._lock:
                self._n_handshakes -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the interface
        """Keep what a broken connection raises out of the log; socketserver would print it."""
        self.on_refused()

    def shutdown(self) -> None:
        """Take no more connections, and close the socket. pynetdicom's own expects that it started the server."""
        TCPServer.shutdown(self)
        self.server_close()
