"""An HTTP server on the loopback interface that runs in threads and stops at once, with connections open or not."""

import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
_POLL_SECONDS = 0.05
_FAREWELL_SECONDS = 2.0


class LoopbackServer(ThreadingHTTPServer):
    """Serves each connection in a thread of its own, on 127.0.0.1 only.

    Use it as a context manager, or call `start` and `stop`. Port 0 picks a free port; see `url`.

    Raises:
        OSError: the port is in use, or this user may not bind it.
    """

    # Two servers must never share a port.
    allow_reuse_port = False
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> None:
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._connections_lock = threading.Lock()
        super().__init__((HOST, port), handler)
        self._acceptor = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name=f"accept-{self.server_port}", daemon=True
        )

    @property
    def url(self) -> str:
        """Return the address of the server, as `http://127.0.0.1:PORT`."""
        return f"http://{HOST}:{self.server_port}"

    def start(self) -> None:
        """Serve in a thread; connections that came since the constructor are served too."""
        self._acceptor.start()

    def stop(self) -> None:
        """Close the port, cut every open connection, and wait a moment for the threads that serve them."""
        if self._acceptor.is_alive():
            self.shutdown()
            self._acceptor.join()
        self.server_close()
        with self._connections_lock:
            open_connections = dict(self._connections)
        for connection in open_connections:
            _cut(connection)
        for thread in open_connections.values():
            thread.join(_FAREWELL_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def server_bind(self) -> None:
        """Bind without the reverse DNS query of `HTTPServer`, which can take seconds on a laptop."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection in a thread, which `stop` knows while it runs."""
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._connections_lock:
            self._connections[request] = thread
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Do the work of `process_request`."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._connections_lock:
                self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print an error of a connection, unless the client went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # It is closed already.


def free_port() -> int:
    """Return a port on which nobody listens at this moment, for a program that cannot choose one itself."""
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])
