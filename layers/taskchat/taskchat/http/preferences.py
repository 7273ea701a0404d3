"""The header `Prefer` (RFC 7240), as far as this API honours it: `respond-async` and `wait`."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

_PREFERENCE = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*("[^"]*"|[^\s;,]*))?[^,]*""")
_LONGEST_WAIT_DIGITS = 6


@dataclass(frozen=True)
class Preference:
    """Whether the client takes a 202, and how many seconds it waits for the whole answer first."""

    respond_async: bool = False
    wait_seconds: int = 0

    @property
    def applied(self) -> str:
        """Return the value of `Preference-Applied` for a 202."""
        return f"respond-async, wait={self.wait_seconds}" if self.wait_seconds else "respond-async"


def parse(header: str) -> Preference:
    """Read the header. Unknown preferences are ignored, and of two equal names the first one counts."""
    found: dict[str, str] = {}
    for match in _PREFERENCE.finditer(header):
        found.setdefault(match[1].lower(), (match[2] or "").strip('"'))
    wait = found.get("wait", "")
    is_number = re.fullmatch("[0-9]+", wait) is not None and len(wait) <= _LONGEST_WAIT_DIGITS
    return Preference("respond-async" in found, int(wait) if is_number else 0)


async def _preference(request: Request) -> Preference:
    return parse(", ".join(request.headers.getlist("Prefer")))


PreferenceDep = Annotated[Preference, Depends(_preference)]
