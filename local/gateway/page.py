"""Serves the page as CloudFront does: the files of `web/`, compressed, with the response headers of the template."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from local.gateway.events import Request
from local.gateway.responses import Response

INDEX = "index.html"
CONFIG = "config.json"
LOCAL_CONFIG = b'{"sign_in": "name"}\n'
"""A name is enough on a laptop. `make deploy` writes the `config.json` of a deployed page."""
CONTENT_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
CACHE_CONTROL = "no-cache"
"""A browser asks each time whether a file is still the same, so a release is seen at once."""
_SUBSTITUTION = re.compile(r" ?\$\{\w+\}")
_POLICY = "AWS::CloudFront::ResponseHeadersPolicy"


def content_type(name: str) -> str:
    """Return the content type of a file of the page."""
    return "application/json" if name == CONFIG else CONTENT_TYPES[Path(name).suffix]


class Page:
    """Answers requests for the files of a folder. Files are read at each request, so that an edit shows at once."""

    def __init__(self, folder: Path, headers: Mapping[str, str], config: bytes = LOCAL_CONFIG) -> None:
        self._config = config
        self._folder = folder.resolve()
        self._headers = tuple(headers.items())

    def answer(self, request: Request) -> Response | None:
        """Return the file that a request names, None if there is none."""
        name = unquote(request.path).removeprefix("/") or INDEX
        content = self._content(name) if request.method in {"GET", "HEAD"} else None
        if content is None:
            return None
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = (*self._headers, ("etag", tag), ("cache-control", CACHE_CONTROL), ("vary", "accept-encoding"))
        asked = request.joined_headers()
        if tag in asked.get("if-none-match", ""):
            return Response(HTTPStatus.NOT_MODIFIED, headers, b"")
        headers += (("content-type", content_type(name)),)
        if "gzip" in asked.get("accept-encoding", ""):
            headers += (("content-encoding", "gzip"),)
            content = gzip.compress(content, mtime=0)
        return Response(HTTPStatus.OK, headers, content)

    def _content(self, name: str) -> bytes | None:
        if name == CONFIG:
            return self._config
        if "\0" in name:
            return None
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder) or path.suffix not in CONTENT_TYPES or not path.is_file():
            return None
        return path.read_bytes()


def page_headers(template: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the headers that the template's policy adds to a response of the page.

    A `${Name}` in the content security policy is an origin to sign in at, which a laptop does not have.
    """
    policies = [part for part in template["Resources"].values() if part["Type"] == _POLICY]
    if not policies:
        return {}
    configuration = policies[0]["Properties"]["ResponseHeadersPolicyConfig"]
    security, custom = configuration["SecurityHeadersConfig"], configuration["CustomHeadersConfig"]["Items"]
    transport = security["StrictTransportSecurity"]
    return {
        "content-security-policy": _text(security["ContentSecurityPolicy"]["ContentSecurityPolicy"]),
        "referrer-policy": security["ReferrerPolicy"]["ReferrerPolicy"],
        "strict-transport-security": f"max-age={transport['AccessControlMaxAgeSec']}; includeSubDomains",
        "x-content-type-options": "nosniff",
        "x-frame-options": security["FrameOptions"]["FrameOption"],
        **{item["Header"].lower(): item["Value"] for item in custom},
    }


def _text(value: Any) -> str:
    """Return a literal, or the text of an `Fn::Sub` without its substitutions."""
    if isinstance(value, Mapping):
        value = value["Fn::Sub"]
    return _SUBSTITUTION.sub("", value if isinstance(value, str) else value[0])
