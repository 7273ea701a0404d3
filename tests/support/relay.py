"""A TCP relay on loopback whose connections a test cuts, refuses or stalls."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 16


class Relay:
    """Passes bytes between its own port and `port`, until a test interferes. Use it as `relay(port)`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener: socket.socket | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._flows = threading.Event()
        self._flows.set()
        self.port = 0
        self.open()

    def open(self) -> None:
        """Accept connections, on the same port as before."""
        self._listener = socket.create_server((HOST, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Cut all connections and refuse new ones."""
        if self._listener is not None:
            # Wakes the thread that accepts.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for pair in self._pairs:
            for side in pair:
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()
        self._flows.set()

    def stall(self) -> None:
        """Hold all bytes back from now on; connections stay open."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass the bytes on that were held back, and those that follow."""
        self._flows.set()

    def close_for(self, seconds: float) -> None:
        """Cut and refuse connections now, and accept them again after so many seconds."""
        self.close()

        def reopen() -> None:
            time.sleep(seconds)
            self.open()

        threading.Thread(target=reopen).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection((HOST, self._target))
                except OSError:
                    client.close()
                    continue
                self._pairs.append((client, server))
                threading.Thread(target=self._pump, args=(client, server), daemon=True).start()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        with closing(client), closing(server), selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    source, target = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    chunk = source.recv(CHUNK_BYTES)
                    self._flows.wait()
                    if not chunk:
                        return
                    target.sendall(chunk)


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """Yield a relay to `port`, open, and close it afterwards."""
    wire = Relay(port)
    try:
        yield wire
    finally:
        wire.close()
