"""Names of clients. Since 2026-07-28 each request carries one, in older versions only `initialize` does.

The server keeps nothing between two requests. Older clients repeat the header `Mcp-Session-Id`. The server's session id
holds the client's name, and a text that is random for each `initialize`. Nothing is looked up by it, and it is
optional. A client uses no request id twice within one session, so both ids together name a request (MCP 2025-11-25,
Base Protocol, Requests).
"""

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import InitializeRequestParams
from pydantic import ValidationError

from taskchat.text import storable

SESSION_HEADER = "mcp-session-id"
UNKNOWN = "MCP client"
LONGEST_NAME_CHARACTERS = 100
_SEPARATOR = "\n"
_NONCE_BYTES = 12


def name_of(context: ServerRequestContext[Any, Any]) -> str:
    """Return the name of this request's client, printable and shortened."""
    declared = context.session.client_params
    if declared is not None:
        return _name(declared)
    session_id = _session_id(context)
    try:
        return _fit(base64.urlsafe_b64decode(session_id.encode()).decode().partition(_SEPARATOR)[0]) or UNKNOWN
    except (binascii.Error, ValueError):
        return UNKNOWN


def request_key(context: ServerRequestContext[Any, Any], tool: str, arguments: Mapping[str, Any]) -> str | None:
    """Return a key for this call that the same request has again when it is repeated; None outside a session.

    Tool and arguments belong to it, so that a client that does use an id twice is not refused.
    """
    session_id = _session_id(context)
    if context.session.client_params is not None or context.request_id is None or not _is_random(session_id):
        return None
    named = json.dumps([session_id, context.request_id, tool, arguments])
    return f"request {hashlib.sha256(named.encode()).hexdigest()}"


def new_session_id(params: Mapping[str, Any] | None) -> str | None:
    """Return a new session id for the parameters of an `initialize`; None if they are not valid."""
    try:
        name = _name(InitializeRequestParams.model_validate(params, by_name=False))
    except ValidationError:
        return None
    return base64.urlsafe_b64encode(f"{name}{_SEPARATOR}{secrets.token_urlsafe(_NONCE_BYTES)}".encode()).decode()


def _is_random(session_id: str) -> bool:
    """Tell whether a session id has its random part, which those of an earlier release lack."""
    try:
        return _SEPARATOR in base64.urlsafe_b64decode(session_id.encode()).decode()
    except (binascii.Error, ValueError):
        return False


def _session_id(context: ServerRequestContext[Any, Any]) -> str:
    return context.request.headers.get(SESSION_HEADER, "") if context.request is not None else ""


def _name(declared: InitializeRequestParams) -> str:
    return _fit(declared.client_info.title or "") or _fit(declared.client_info.name) or UNKNOWN


def _fit(name: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in storable(name))
    return " ".join(printable.split())[:LONGEST_NAME_CHARACTERS].rstrip()
