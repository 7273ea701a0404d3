"""Names of clients. Since 2026-07-28 each request carries one, in older versions only `initialize` does.

The server keeps nothing between two requests. It returns the name of an older client in `Mcp-Session-Id`, a header that
clients repeat from then on. That is a name tag, not a session: nothing is looked up by it, and it is optional.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import InitializeRequestParams
from pydantic import ValidationError

from taskchat.text import storable

NAME_TAG_HEADER = "mcp-session-id"
UNKNOWN = "MCP client"
LONGEST_NAME_CHARACTERS = 100


def name_of(context: ServerRequestContext[Any, Any]) -> str:
    """Return the name of this request's client, printable and shortened."""
    declared = context.session.client_params
    if declared is not None:
        return _name(declared)
    tag = context.request.headers.get(NAME_TAG_HEADER, "") if context.request is not None else ""
    try:
        return _fit(base64.urlsafe_b64decode(tag.encode()).decode()) or UNKNOWN
    except (binascii.Error, ValueError):
        return UNKNOWN


def name_tag(params: Mapping[str, Any] | None) -> str | None:
    """Return the name tag for the parameters of an `initialize`; None if they are not valid."""
    try:
        name = _name(InitializeRequestParams.model_validate(params, by_name=False))
    except ValidationError:
        return None
    return base64.urlsafe_b64encode(name.encode()).decode()


def _name(declared: InitializeRequestParams) -> str:
    return _fit(declared.client_info.title or "") or _fit(declared.client_info.name) or UNKNOWN


def _fit(name: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in storable(name))
    return " ".join(printable.split())[:LONGEST_NAME_CHARACTERS].rstrip()
