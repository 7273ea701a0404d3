"""HTTP responses from the results of functions: payload format version 2.0, as in `events`."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

_SET_BY_THE_SERVER = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})

# Python renamed this one in 3.13.
_PHRASES = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large"}
_IN_A_HEADER = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class MalformedResponseError(Exception):
    """Raised for a result that is not a valid response. API Gateway answers 500."""


@dataclass(frozen=True)
class Response:
    """An HTTP response, without the headers that the server adds."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def without(self, prefix: str) -> "Response":
        """Return the response without the headers whose names begin with `prefix`."""
        kept = tuple(header for header in self.headers if not header[0].startswith(prefix))
        return Response(self.status, kept, self.body)


def plain(status: HTTPStatus, *headers: tuple[str, str]) -> Response:
    """Return an answer of API Gateway itself, as in `{"message": "Not Found"}`."""
    phrase = _PHRASES.get(status, status.phrase)
    return Response(status, (("content-type", "application/json"), *headers), json.dumps({"message": phrase}).encode())


def response(result: Any) -> Response:
    """Return the response for a function's result.

    Raises:
        MalformedResponseError: the result is not a valid response.
    """
    if not isinstance(result, dict) or "statusCode" not in result:
        text = result if isinstance(result, str) else json.dumps(result)
        return Response(HTTPStatus.OK, (("content-type", "application/json"),), text.encode())
    status = result["statusCode"]
    if not isinstance(status, int | str) or not str(status).isdecimal() or not 200 <= int(status) <= 599:
        raise MalformedResponseError(f"statusCode is {status!r}")
    body = _body(result)
    return Response(int(status), tuple(_headers(result, with_body=bool(body))), body)


def _headers(result: dict[str, Any], *, with_body: bool) -> Iterator[tuple[str, str]]:
    headers, cookies = result.get("headers") or {}, result.get("cookies") or []
    if not isinstance(headers, dict) or not isinstance(cookies, list):
        raise MalformedResponseError("headers is not an object, or cookies not a list")
    named = {name.lower(): _text(value) for name, value in headers.items() if name.lower() not in _SET_BY_THE_SERVER}
    if with_body:
        named.setdefault("content-type", "text/plain; charset=utf-8")
    for header in (*named.items(), *(("set-cookie", _text(cookie)) for cookie in cookies)):
        if not _IN_A_HEADER.fullmatch("".join(header)):
            raise MalformedResponseError(f"the header {header[0]!r} holds what no header may hold")
        yield header


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _body(result: dict[str, Any]) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedResponseError("body is not text")
    if not result.get("isBase64Encoded"):
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise MalformedResponseError("body is not base64") from error
