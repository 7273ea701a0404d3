"""An HTTP client that sends just what a test says, duplicate headers and nonsense included."""

import http.client
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.gateway.server import Gateway

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Reply:
    """An answer; header names are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the one header of this name."""
        values = [value for header, value in self.headers if header == name]
        assert len(values) <= 1
        return values[0] if values else None

    def json(self) -> Any:
        """Return the body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Talks to one gateway."""

    gateway: Gateway
    access_log: list[str]
    function_log: Path

    def send(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
    ) -> Reply:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.putrequest(method, target)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return _read(connection.getresponse())
        finally:
            connection.close()

    def event(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
    ) -> Any:
        """Return the event that the function got."""
        reply = self.send(method, target, headers, body)
        assert reply.status == 200, reply
        return reply.json()["event"]

    def tell(self, command: dict[str, Any]) -> Reply:
        """Tell the function what to do."""
        return self.send("POST", "/echo", [("Content-Type", "application/json")], json.dumps(command).encode())

    def returns(self, value: Any) -> Reply:
        """Let the function return something."""
        return self.tell({"do": "return", "value": value})

    def raw(self, data: bytes) -> bytes:
        """Send bytes as they stand, and nothing more; return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.gateway.port), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65_536), b""))


def _read(response: http.client.HTTPResponse) -> Reply:
    headers = [(name.lower(), value) for name, value in response.getheaders()]
    return Reply(response.status, headers, response.read())
