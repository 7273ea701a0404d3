"""CORS as an HTTP API does it, which answers preflight requests itself.

See https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_ANY = "*"


@dataclass(frozen=True)
class CorsRules:
    """The `CorsConfiguration` of a template; an origin may be `*`, `https://*` or `http://*`."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age_seconds: int | None

    @classmethod
    def from_template(cls, configuration: Mapping[str, Any]) -> Self:
        """Read the rules."""
        names = ("AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders")
        origins, methods, headers, exposed = (tuple(configuration.get(name) or ()) for name in names)
        return cls(origins, methods, headers, exposed, configuration.get("MaxAge"))

    def answers_preflight(self, method: str, headers: Mapping[str, str]) -> bool:
        """Return whether a request is a preflight (Fetch standard, CORS-preflight request)."""
        return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers

    def response_headers(self, headers: Mapping[str, str], *, preflight: bool) -> dict[str, str]:
        """Return the headers to add to a response; none for an origin that is not allowed."""
        origin = headers.get("origin")
        if origin is None or not any(_allows(pattern, origin) for pattern in self.origins):
            return {}
        answer = {
            "access-control-allow-origin": _ANY if _ANY in self.origins else origin,
            "access-control-expose-headers": ",".join(self.exposed),
        }
        if preflight:
            answer |= {
                "access-control-allow-methods": ",".join(self.methods),
                "access-control-allow-headers": ",".join(self.headers),
                "access-control-max-age": "" if self.max_age_seconds is None else str(self.max_age_seconds),
            }
        return {name: value for name, value in answer.items() if value}


def _allows(pattern: str, origin: str) -> bool:
    """Return whether a pattern allows an origin: that origin, `*`, `https://*` or `http://*`."""
    return pattern in {origin, _ANY} or (pattern.endswith("://*") and origin.startswith(pattern.removesuffix(_ANY)))
