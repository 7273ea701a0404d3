"""Reading the event of an HTTP API (payload format version 2.0), whatever a client put into the request.

See https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from mangum.handlers import HTTPGateway
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Scope

from taskchat.text import storable_json

_HOST = re.compile(r"[^:]+(:[0-9]{1,5})?")
_PATH_PARAMETER = re.compile(r"\{([^}+]+)\+?\}")
_OPTIONAL_WHITESPACE = " \t"
"""Whitespace around a field's value (RFC 9110, section 5.5), which is not part of the value."""


class HttpApiEvent(HTTPGateway):
    """Mangum's reader of the format. Inputs that would make Mangum raise are removed first.

    A custom domain's mapping key and a named stage stay in an event's path. They become ASGI's `root_path`, so that
    routes are found without them.
    """

    def __init__(self, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> None:
        super().__init__(_readable(event), context, config)

    @property
    def body(self) -> bytes:
        """Return the body. Invalid UTF-8 or base64 is passed on, so that the parser refuses it."""
        text = self.event.get("body") or ""
        if self.event.get("isBase64Encoded"):
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                pass
        return str(text).encode(errors="surrogatepass")

    @property
    def scope(self) -> Scope:
        """Return the ASGI scope."""
        return {**super().scope, "root_path": root_path(self.event)}


def root_path(event: Mapping[str, Any]) -> str:
    """Return the part of the path that precedes the route's own, as in `/v1`; empty if there is none."""
    _method, _, route = str(event.get("routeKey", "")).partition(" ")
    parameters = event.get("pathParameters") or {}
    own = _PATH_PARAMETER.sub(lambda found: str(parameters.get(found[1], "")), route)
    path = str(event["requestContext"]["http"]["path"])
    return path.removesuffix(own) if own and path.endswith(own) else ""


def _readable(event: LambdaEvent) -> LambdaEvent:
    cleaned: LambdaEvent = {**storable_json({**event, "body": None}), "body": event.get("body")}
    headers = {name: str(value).strip(_OPTIONAL_WHITESPACE) for name, value in (cleaned.get("headers") or {}).items()}
    cleaned["headers"] = {name: value for name, value in headers.items() if _is_readable(name.lower(), value)}
    return cleaned


def _is_readable(name: str, value: str) -> bool:
    """Return False for a header that Mangum would parse and cannot."""
    if name == "host":
        return _HOST.fullmatch(value) is not None
    return name != "x-forwarded-port" or re.fullmatch("[0-9]{1,5}", value) is not None
