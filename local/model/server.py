"""The offline model over HTTP: Chat Completions and the list of models, the part of the protocol that is needed here.

The protocol is OpenAI's: https://platform.openai.com/docs/api-reference/chat/create.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from local.loopback import LoopbackServer
from local.model.conversation import Move, next_move
from local.model.plans import CallTools, Say

MODEL_NAME = "offline"
LARGEST_BODY_BYTES = 10_000_000
_CHARACTERS_PER_TOKEN = 4
_IDLE_SECONDS = 60


class RefusedError(Exception):
    """Raised when a request cannot be answered; the text tells the client why."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def offline_model(port: int = 0) -> LoopbackServer:
    """Return the server, not yet started; its base URL for clients is `url` + `/v1`."""
    return LoopbackServer(OfflineModelHandler, port)


def complete(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one Chat Completions request.

    Raises:
        RefusedError: it has no messages, or asks for a stream.
    """
    messages = request.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "messages must be a list of messages")
    if request.get("stream"):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the offline model does not stream")
    move = next_move(messages, _offered(request))
    message = _message(move, json.dumps(messages))
    return {
        "id": f"chatcmpl-{_digest(messages)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL_NAME,
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if isinstance(move, CallTools) else "stop",
                "logprobs": None,
            }
        ],
        "usage": _usage(messages, message),
    }


def _offered(request: Mapping[str, Any]) -> frozenset[str]:
    tools = request.get("tools") or ()
    if request.get("tool_choice") == "none":
        return frozenset()
    return frozenset(tool["function"]["name"] for tool in tools if isinstance(tool.get("function"), dict))


def _message(move: Move, context: str) -> dict[str, Any]:
    if isinstance(move, Say):
        return {"role": "assistant", "content": move.text, "refusal": None}
    return {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {
                # Made from the conversation so far, so that the same request always gets the same answer.
                "id": f"call_{_digest([context, position])}",
                "type": "function",
                "function": {"name": str(call.tool), "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for position, call in enumerate(move.calls)
        ],
    }


def _usage(messages: object, message: object) -> dict[str, int]:
    given, made = (len(json.dumps(part)) // _CHARACTERS_PER_TOKEN for part in (messages, message))
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


class OfflineModelHandler(BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    # The head and the body are two writes, and the second must not wait for an answer to the first.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer the list of models."""
        if self.path == "/v1/models":
            model = {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": "taskchat"}
            self._send(HTTPStatus.OK, {"object": "list", "data": [model]})
        else:
            self._refuse(RefusedError(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path}"))

    def do_POST(self) -> None:
        """Answer a chat completion."""
        try:
            self._send(HTTPStatus.OK, complete(self._request()))
        except RefusedError as error:
            self._refuse(error)

    def _request(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY_BYTES:
            self.close_connection = True
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length of at most 10 MB")
        body = self.rfile.read(int(length))
        if self.path != "/v1/chat/completions":
            raise RefusedError(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path}")
        try:
            request = json.loads(body)
        except ValueError:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
        if not isinstance(request, dict):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
        return request

    def _refuse(self, error: RefusedError) -> None:
        self._send(error.status, {"error": {"message": str(error), "type": "invalid_request_error", "code": None}})

    def _send(self, status: HTTPStatus, document: Mapping[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the console quiet: the gateway's line about the request is enough."""
