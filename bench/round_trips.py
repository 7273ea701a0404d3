"""Table 4: round trips to the database in one turn, counted by a proxy.

A round trip begins when the client sends after the server has answered, however many packets either side takes.
"""

import select
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import URL

from bench import servers
from bench.checkouts import Checkout
from bench.figures import medians
from bench.report import Section
from bench.turn import names, subject
from local.loopback import HOST

MESSAGES = 200
WARM_UP_TURNS = 2
CHUNK_BYTES = 1 << 16
NOTE = (
    f"A turn with {MESSAGES} messages before it, over open connections. Traffic that a subject sends in the background "
    "during the turn counts too."
)


class Proxy(socketserver.ThreadingTCPServer):
    """Forwards connections to a port and counts round trips; each connection has a thread."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__((HOST, 0), _Connection)
        self.target = (HOST, port)
        self._lock = threading.Lock()
        self._round_trips = 0

    def count(self) -> None:
        """Count one round trip."""
        with self._lock:
            self._round_trips += 1

    def counted(self) -> int:
        """Return the round trips since the last call."""
        with self._lock:
            counted, self._round_trips = self._round_trips, 0
        return counted


class _Connection(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        client: socket.socket = self.request
        with socket.create_connection(self.server.target) as server:
            is_answered = True
            while True:
                for source in select.select([client, server], [], [])[0]:
                    try:
                        chunk = source.recv(CHUNK_BYTES)
                    except ConnectionError:
                        return
                    if not chunk:
                        return
                    if source is client and is_answered:
                        self.server.count()
                    is_answered = source is server
                    (server if source is client else client).sendall(chunk)


def measure(runs: int, checkouts: Sequence[Checkout]) -> Section:
    """Count the round trips of every subject."""
    section = Section("4. Round trips of a turn", ["subject", "round trips"], notes=[NOTE])
    with servers.server() as (server, _), servers.model() as (_, model_url):
        for name in names(checkouts):
            with (
                servers.database(server) as database,
                _proxy(database) as (proxy, url),
                subject(name, checkouts, servers.environment(url, model_url)) as process,
            ):
                conversation = process.ask("seed", messages=MESSAGES)
                counts = []
                for _ in range(WARM_UP_TURNS + runs):
                    proxy.counted()
                    process.ask("turn", conversation=conversation)
                    counts.append({"round_trips": float(proxy.counted())})
            section.rows.append([name, f"{medians(counts[WARM_UP_TURNS:])['round_trips']:.0f}"])
    return section


@contextmanager
def _proxy(database: URL) -> Iterator[tuple[Proxy, URL]]:
    """Run a proxy before a database; the URL leads through it."""
    assert database.port is not None
    with Proxy(database.port) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield proxy, database.set(port=proxy.server_address[1])
        finally:
            proxy.shutdown()
