"""Streamable HTTP without sessions: one message in, one JSON document out, nothing kept between two messages."""

import json
import logging
from http import HTTPStatus
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import INVALID_REQUEST, PARSE_ERROR, JSONRPCNotification, jsonrpc_message_adapter
from pydantic import ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from functions.mcp.allowed import Allowed
from functions.mcp.clients import SESSION_HEADER

SESSION_ID = "functions.mcp.session_id"
"""Key of a request's scope with the session id that its response has to carry."""

# The SDK logs the start and the stop of each session manager, which would be two lines for every message.
logging.getLogger("mcp").setLevel(logging.WARNING)


class Exchange(Response):
    """A server's answer to the JSON-RPC message in `body`.

    The SDK's session manager serves only once, so each exchange makes its own.
    """

    def __init__(self, server: Server[Any], body: bytes, allowed: Allowed) -> None:
        super().__init__()
        self._server = server
        self._message = body
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the message, or refuse it before the SDK sees it."""
        refusal = self._refusal(Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        unread: list[Message] = [{"type": "http.request", "body": self._message, "more_body": False}]

        async def receive_message() -> Message:
            if not unread:
                # A client of Lambda cannot disconnect, and the SDK would take a disconnect as a reason to stop.
                await anyio.sleep_forever()
            return unread.pop()

        async def send_with_session(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # Some of the SDK's refusals are plain text without a type, which Mangum would call JSON.
                headers.setdefault("content-type", "text/plain; charset=utf-8")
                if SESSION_ID in scope:
                    headers[SESSION_HEADER] = scope[SESSION_ID]
            await send(message)

        manager = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive_message, send_with_session)

    def _refusal(self, headers: Headers) -> Response | None:
        if (found := self._allowed.refusal(headers)) is not None:
            return _error(INVALID_REQUEST, *found)
        try:
            message = json.loads(self._message.decode())
        except (ValueError, RecursionError):
            return _error(PARSE_ERROR, HTTPStatus.BAD_REQUEST, "The body is not JSON in UTF-8.")
        if isinstance(message, list):
            # 2025-06-18 removed batches from the protocol, and this server serves no older version.
            reason = "Batches are not supported; send each message in a request of its own."
            return _error(INVALID_REQUEST, HTTPStatus.BAD_REQUEST, reason)
        if not _is_one_message(message):
            reason = "The body is not one JSON-RPC 2.0 message, or its id is neither a string nor an integer."
            return _error(INVALID_REQUEST, HTTPStatus.BAD_REQUEST, reason)
        return None


def _is_one_message(message: object) -> bool:
    try:
        read = jsonrpc_message_adapter.validate_python(message, by_name=False)
    except ValidationError:
        return False
    # The model of a notification ignores a member `id`: such a message is a request whose id is not valid (JSON-RPC
    # 2.0, section 4.1). The SDK would acknowledge it in the versions with a handshake, and never run it.
    return not (isinstance(read, JSONRPCNotification) and isinstance(message, dict) and "id" in message)


def _error(code: int, status: HTTPStatus, reason: str) -> Response:
    document = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": reason}}
    return Response(json.dumps(document), status, media_type="application/json")
