"""A model server without a moment's thought, or with a fixed one: it asks for one task, and then says that it is done.

It speaks as much of the Chat Completions protocol as the SDKs of all subjects need, over kept connections.
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
    """The server, in a thread with a loop of its own."""

    def __init__(self) -> None:
        self._think_seconds = 0.0
        self._requests = 0
        self._bytes = 0
        self._ids = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, HOST, 0), self._loop)
        self._port = listening.result().sockets[0].getsockname()[1]

    def url(self) -> str:
        """Return the base URL for an SDK."""
        return f"http://{HOST}:{self._port}/v1"

    def think(self, seconds: float) -> None:
        """Take this long for each answer from now on."""
        self._think_seconds = seconds

    def received(self) -> dict[str, int]:
        """Return the requests, and the bytes of their bodies, since the last time."""
        requests, self._requests = self._requests, 0
        received, self._bytes = self._bytes, 0
        return {"requests": requests, "bytes": received}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next(int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:"))
                body = await reader.readexactly(length)
                self._requests += 1
                self._bytes += length
                if self._think_seconds:
                    await asyncio.sleep(self._think_seconds)
                answer = json.dumps(self._answer(json.loads(body))).encode()
                writer.write(HEAD.format(len(answer)).encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        message: dict[str, Any] = {"role": "assistant", "content": REPLY}
        is_done = request["messages"][-1]["role"] == "tool"
        if not is_done:
            function = {"name": "create_task", "arguments": json.dumps(ARGUMENTS)}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": f"call_{number}", "type": "function", "function": function}],
            }
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
    return {"url": server.url, "think": server.think, "received": server.received}


if __name__ == "__main__":
    serve(_commands)
