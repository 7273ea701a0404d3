"""A TCP proxy that makes a network of loopback: it delays every round trip, and counts them.

A round trip is what a client sends after something has come back: as many packets as it likes, until it waits again.
"""

import asyncio
import threading
from collections.abc import Mapping

from bench.worker import Command, serve
from local.loopback import HOST

CHUNK_BYTES = 1 << 16


class Proxy:
    """Connections from here to a server's port, in a thread with a loop of its own."""

    def __init__(self) -> None:
        self._delay_seconds = 0.0
        self._round_trips = 0
        self._connections = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def listen(self, port: int) -> int:
        """Return the port that leads to `port`."""
        self._to = port
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._connect, HOST, 0), self._loop)
        return int(listening.result().sockets[0].getsockname()[1])

    def delay(self, milliseconds: float) -> None:
        """Let each round trip take this much longer from now on."""
        self._delay_seconds = milliseconds / 1000

    def counted(self) -> dict[str, int]:
        """Return the round trips and new connections since the last time."""
        counts = {"round_trips": self._round_trips, "connections": self._connections}
        self._round_trips = self._connections = 0
        return counts

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        there, back = await asyncio.open_connection(HOST, self._to)
        link = _Link()
        await asyncio.gather(
            self._pump(reader, back, link, is_client=True), self._pump(there, writer, link, is_client=False)
        )

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, link: "_Link", *, is_client: bool
    ) -> None:
        """Carry one direction; each chunk leaves half the delay after it came, in order."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.create_task(_send(queue, target))
        try:
            while chunk := await source.read(CHUNK_BYTES):
                if is_client and link.answered:
                    self._round_trips += 1
                link.answered = not is_client
                await queue.put((self._loop.time() + self._delay_seconds / 2, chunk))
        except ConnectionError:
            pass
        await queue.put((0.0, b""))
        await sender


class _Link:
    """Who spoke last on a connection; a client that speaks first asks as well."""

    def __init__(self) -> None:
        self.answered = True


async def _send(queue: "asyncio.Queue[tuple[float, bytes]]", target: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while (item := await queue.get())[1]:
        if (left := item[0] - loop.time()) > 0:
            await asyncio.sleep(left)
        try:
            target.write(item[1])
            await target.drain()
        except ConnectionError:
            break
    target.close()


def _commands() -> Mapping[str, Command]:
    proxy = Proxy()
    return {"listen": proxy.listen, "delay": proxy.delay, "counted": proxy.counted}


if __name__ == "__main__":
    serve(_commands)
