"""Streamable HTTP without sessions: one message in, one JSON document out, and everything made anew for it."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import INVALID_REQUEST
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from functions.mcp.clients import NAME_TAG_HEADER

NAME_TAG = "functions.mcp.name_tag"
"""Where a request's scope holds the tag that the response to it shall carry."""
API_ID = "{apiId}"
"""Stands in a template for the API's own id, which a template cannot know of the functions below it."""

# The SDK tells of each manager that it starts and stops, which here are two lines for every message.
logging.getLogger("mcp").setLevel(logging.WARNING)


def security(event: Mapping[str, Any], hosts: Sequence[str], origins: Sequence[str]) -> TransportSecuritySettings:
    """Return under which names the server may be reached, and from which web pages (DNS rebinding)."""
    api_id = str(event["requestContext"].get("apiId", ""))
    return TransportSecuritySettings(
        allowed_hosts=[host.replace(API_ID, api_id) for host in hosts], allowed_origins=list(origins)
    )


class Exchange(Response):
    """A server's answer to the message in `body`. The SDK's session manager serves once, so each gets its own."""

    def __init__(self, server: Server[Any], body: bytes, security: TransportSecuritySettings) -> None:
        super().__init__()
        self._server = server
        self._message = body
        self._security = security

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the server answer."""
        if self._message.lstrip()[:1] == b"[":
            await _refuse_batch(scope, receive, send)
            return
        scope = _trimmed(scope)
        unread: list[Message] = [{"type": "http.request", "body": self._message, "more_body": False}]

        async def receive_message() -> Message:
            if not unread:
                # Nobody hangs up on an invocation; to say so would end the work on the answer.
                await anyio.sleep_forever()
            return unread.pop()

        async def send_tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # What the SDK refuses for its host or page is plain text, which Mangum would call JSON.
                headers.setdefault("content-type", "text/plain; charset=utf-8")
                if NAME_TAG in scope:
                    headers[NAME_TAG_HEADER] = scope[NAME_TAG]
            await send(message)

        manager = StreamableHTTPSessionManager(
            self._server, json_response=True, stateless=True, security_settings=self._security
        )
        async with manager.run():
            await manager.handle_request(scope, receive_message, send_tagged)


def _trimmed(scope: Scope) -> Scope:
    """Return the scope without the blanks around its headers' values, which belong to none (RFC 9110, section 5.5)."""
    return {**scope, "headers": [(name, value.strip(b" \t")) for name, value in scope["headers"]]}


async def _refuse_batch(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse several messages at once: 2025-06-18 took them out of the protocol, and older versions are not served."""
    error = {"code": INVALID_REQUEST, "message": "Batches are not taken; send each message in a request of its own."}
    document = json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
    await Response(document, 400, media_type="application/json")(scope, receive, send)
