"""Stands in for the JWT authorizer: a token of the form `local:NAME` signs in a person of that name."""

import re
import time

ISSUER = "http://127.0.0.1/local"
DEFAULT_NAME = "me"
_LIFETIME_SECONDS = 3600
_TOKEN = re.compile(r"Bearer +local:(?P<name>[!-~]{1,128})", re.IGNORECASE)


class UnauthorizedError(Exception):
    """Raised for a token that is not valid."""


def verified_claims(authorization: str | None) -> dict[str, str]:
    """Return the claims of the token in an Authorization header, or those of `me` without the header.

    Every claim is a string, as API Gateway passes them to a function.

    Raises:
        UnauthorizedError: the header holds no such token.
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
