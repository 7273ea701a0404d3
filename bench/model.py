"""A scripted model server: it asks for one `create_task` call, then gives the final reply.

It speaks the part of Chat Completions that the SDKs of all subjects use, over persistent connections.
"""

import asyncio
import itertools
import json
import threading
from collections.abc import Mapping
from typing import Any

from bench.worker import Command, serve
from local.loopback import HOST

ARGUMENTS = {"title": "Buy groceries", "priority": "high"}
REPLY = "I have added the task Buy groceries."
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


class ModelServer:
    """The server, in a thread with its own event loop."""

    def __init__(self) -> None:
        self._think_seconds = 0.0
        self._received_bytes = 0
        self._ids = itertools.count(1)
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, HOST, 0), loop)
        self._port = listening.result().sockets[0].getsockname()[1]

    def url(self) -> str:
        """Return the base URL for an SDK."""
        return f"http://{HOST}:{self._port}/v1"

    def think(self, seconds: float) -> None:
        """Delay each answer from now on."""
        self._think_seconds = seconds

    def received_bytes(self) -> int:
        """Return the size of the request bodies since the last call."""
        received, self._received_bytes = self._received_bytes, 0
        return received

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next(int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:"))
                request = json.loads(await reader.readexactly(length))
                self._received_bytes += length
                await asyncio.sleep(self._think_seconds)
                answer = json.dumps(self._answer(request)).encode()
                writer.write(HEAD.format(len(answer)).encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        roles = [message["role"] for message in request["messages"]]
        # A subject may add an instruction after the tool's result.
        is_done = "tool" in roles[len(roles) - roles[::-1].index("user") :]
        message: dict[str, Any] = {"role": "assistant", "content": REPLY}
        if not is_done:
            function = {"name": "create_task", "arguments": json.dumps(ARGUMENTS)}
            call = {"id": f"call_{number}", "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop" if is_done else "tool_calls"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }


def _commands() -> Mapping[str, Command]:
    server = ModelServer()
    return {"url": server.url, "think": server.think, "received_bytes": server.received_bytes}


if __name__ == "__main__":
    serve(_commands)
