"""The offline model behind a simulated prompt cache, which counts the input tokens of each request and its hits.

The simulation follows OpenAI's description: a request hits for the longest prefix of an earlier request, from 1,024
tokens on, in steps of 128; tools come before messages, and nothing expires:
https://developers.openai.com/api/docs/guides/prompt-caching.
"""

import functools
import json
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

import bpe_openai

from bench.worker import Command, serve
from local.loopback import LoopbackServer
from local.model.protocols import chat_completion

SMALLEST_HIT_TOKENS = 1_024
STEP_TOKENS = 128
_ENCODING = bpe_openai.get_encoding("o200k_base")


class PromptCache:
    """The prefixes of all requests so far."""

    def __init__(self) -> None:
        self._prefixes: set[int] = set()

    def hit_tokens(self, tokens: Sequence[int]) -> int:
        """Return how many tokens of a request hit, and keep its prefixes."""
        ends = list(range(STEP_TOKENS, len(tokens) + 1, STEP_TOKENS))
        prefixes: list[int] = []
        for end in ends:
            prefixes.append(hash((prefixes[-1] if prefixes else 0, *tokens[end - STEP_TOKENS : end])))
        known = [end for end, prefix in zip(ends, prefixes, strict=True) if prefix in self._prefixes]
        self._prefixes.update(prefixes)
        longest = max(known, default=0)
        return longest if longest >= SMALLEST_HIT_TOKENS else 0


class RecordingModel:
    """The server; `figures` holds the input tokens and the hits of each request."""

    def __init__(self) -> None:
        self._cache = PromptCache()
        self._figures: list[tuple[int, int]] = []
        self._lock = threading.Lock()
        self._server = LoopbackServer(_handler_for(self))

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    def url(self) -> str:
        """Return the base URL for an SDK."""
        return f"{self._server.url}/v1"

    def figures(self) -> list[tuple[int, int]]:
        """Return the figures since the last call, and forget what is cached."""
        with self._lock:
            figures, self._figures, self._cache = self._figures, [], PromptCache()
            return figures

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a Chat Completions request, of which only messages and tools count."""
        tools, messages = request.get("tools") or [], request["messages"]
        tokens = [token for item in (*tools, *messages) for token in _tokens(json.dumps(item, ensure_ascii=False))]
        with self._lock:
            self._figures.append((len(tokens), self._cache.hit_tokens(tokens)))
        return chat_completion({"model": "offline", "messages": messages, "tools": tools, "reasoning_effort": "none"})


@functools.lru_cache(maxsize=10_000)
def _tokens(text: str) -> tuple[int, ...]:
    return tuple(_ENCODING.encode(text))


def _handler_for(model: RecordingModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.dumps(model.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the log short."""

    return Handler


def _commands() -> Mapping[str, Command]:
    # The process ends with the server.
    model = RecordingModel().__enter__()
    return {"url": model.url, "figures": model.figures}


if __name__ == "__main__":
    serve(_commands)
