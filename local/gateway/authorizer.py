"""Plays the JWT authorizer: a token of the form `local:NAME` stands for a person of that name."""

import re
import time

ISSUER = "http://127.0.0.1/local"
DEFAULT_NAME = "me"
_LIFETIME_SECONDS = 3600
_TOKEN = re.compile(r"Bearer +local:(?P<name>[!-~]{1,128})", re.IGNORECASE)


class UnauthorizedError(Exception):
    """Raised for a token that signs nobody in."""


def verified_claims(authorization: str | None) -> dict[str, str]:
    """Return the claims of the token in an Authorization header; without the header, those of `me`.

    API Gateway hands every claim to the function as text.

    Raises:
        UnauthorizedError: the header holds anything else.
    """
    name = DEFAULT_NAME
    if authorization is not None:
        token = _TOKEN.fullmatch(authorization.strip())
        if not token:
            raise UnauthorizedError
        name = token["name"]
    now = int(time.time())
    return {
        "iss": ISSUER,
        "sub": name,
        "aud": "taskchat-local",
        "iat": str(now),
        "exp": str(now + _LIFETIME_SECONDS),
    }
