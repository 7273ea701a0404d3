"""Entity tags and conditional requests (RFC 9110, sections 8.8.3 and 13.1)."""

import hashlib
from collections.abc import Mapping

from fastapi import Request, Response

NO_HEADERS: Mapping[str, str] = {}


def entity_tag(body: bytes) -> str:
    """Return the tag of a representation, which differs as soon as the representation does."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def matches(header: str, tag: str) -> bool:
    """Tell whether `If-Match` or `If-None-Match` names the tag.

    The comparison is weak for both, because gateways that compress make a tag weak.
    """
    tags = [candidate.strip().removeprefix("W/") for candidate in header.split(",")]
    return tag in tags or tags == ["*"]


def tagged(request: Request, body: bytes, status_code: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Return JSON with its entity tag, or 304 if the client's `If-None-Match` names it."""
    tag = entity_tag(body)
    headers = {**headers, "ETag": tag, "Cache-Control": "no-cache"}
    if request.method == "GET" and matches(request.headers.get("If-None-Match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, status_code, headers, media_type="application/json")
