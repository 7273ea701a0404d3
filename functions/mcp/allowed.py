"""Host names under which the server may be reached, and web pages that may call it.

The protocol asks servers to check both against DNS rebinding (MCP 2025-11-25, Transports, security warning). The SDK's
own check knows neither `*` nor other spellings of a name, and logs a client's text as it came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

API_ID = "{apiId}"
"""Placeholder for the API's own id, which a template cannot give to the functions that its API refers to."""
_ANY = "*"
_DEFAULT_PORTS = {"http": ("80",), "https": ("443",)}


@dataclass(frozen=True)
class Allowed:
    """Patterns of hosts, as in `api.example` or `localhost:*`, and of origins, as API Gateway's CORS rules take them.

    An origin pattern is an origin, `*`, `https://*` or `http://*`; a port may be `*` in both kinds. Letter case, a
    port that is the scheme's default, and a slash or dot at the end make no difference.
    """

    hosts: Sequence[str]
    origins: Sequence[str]

    @classmethod
    def for_event(cls, event: Mapping[str, Any], hosts: Sequence[str], origins: Sequence[str]) -> Self:
        """Return the patterns with the event's API id in place of `{apiId}`."""
        api_id = str(event["requestContext"].get("apiId", ""))
        return cls([host.replace(API_ID, api_id) for host in hosts], origins)

    def refusal(self, headers: Mapping[str, str]) -> tuple[HTTPStatus, str] | None:
        """Return the status and the reason to refuse a request with these headers; None to take it."""
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if not any(_is_host(pattern, host) for pattern in self.hosts):
            return HTTPStatus.MISDIRECTED_REQUEST, "The request's Host is not one of MCP_HOSTS."
        # Only browsers send an Origin.
        if origin and not any(_is_origin(pattern, origin) for pattern in self.origins):
            return HTTPStatus.FORBIDDEN, "The request's Origin is not one of MCP_ORIGINS."
        return None


def _is_host(pattern: str, host: str) -> bool:
    return host != "" and _matches(pattern, host, ("80", "443"))


def _is_origin(pattern: str, origin: str) -> bool:
    if pattern == _ANY:
        return True
    (wanted_scheme, _, wanted), (scheme, _, authority) = (
        text.lower().rstrip("/").partition("://") for text in (pattern, origin)
    )
    return wanted_scheme == scheme and authority != "" and _matches(wanted, authority, _DEFAULT_PORTS.get(scheme, ()))


def _matches(pattern: str, authority: str, default_ports: Sequence[str]) -> bool:
    wanted_name, wanted_port = _split(pattern, default_ports)
    name, port = _split(authority, default_ports)
    return wanted_name in {_ANY, name} and (wanted_name == _ANY or wanted_port in {_ANY, port})


def _split(authority: str, default_ports: Sequence[str]) -> tuple[str, str]:
    name, _, port = authority.lower().partition(":")
    return name.rstrip("."), "" if port in default_ports else port
