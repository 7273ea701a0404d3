"""The caller, from the claims that API Gateway's JWT authorizer has verified. No other source is read."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from taskchat.errors import UnauthenticatedError
from taskchat.text import is_storable

_USERS = uuid.UUID("5f1f1c5e-6f0c-4f0e-9a55-3b6f1d6c2b7a")
"""The name space of user ids. A change would give every person a new, empty account."""
_LONGEST_CLAIM_BYTES = 1_000
"""Issuer and subject are indexed together, and a PostgreSQL index entry holds about 2,700 bytes.

A `sub` has at most 255 characters (OpenID Connect Core, section 2)."""


@dataclass(frozen=True)
class Principal:
    """A signed-in person.

    `subject` is the issuer and its `sub`, which are unique together (OpenID Connect Core, section 5.7).
    `user_id` is the version 5 UUID (RFC 9562, section 5.5) of `subject`, so no query is needed to know it.
    """

    user_id: uuid.UUID
    subject: str
    email: str | None = None


def from_event(event: Mapping[str, Any]) -> Principal:
    """Return the principal of an HTTP API event (payload format 2.0).

    Raises:
        UnauthenticatedError: the event carries no verified issuer and subject, or one that is too long.
    """
    claims: Any = event
    for part in ("requestContext", "authorizer", "jwt", "claims"):
        claims = claims.get(part) if isinstance(claims, Mapping) else None
    if not isinstance(claims, Mapping):
        raise UnauthenticatedError("Sign in: this request carries no verified token.")
    issuer, sub = claims.get("iss"), claims.get("sub")
    if not (_is_name(issuer) and _is_name(sub)) or " " in issuer:
        raise UnauthenticatedError("Sign in: the token has no usable issuer or subject.")
    subject = f"{issuer} {sub}"
    email = claims.get("email")
    return Principal(
        user_id=uuid.uuid5(_USERS, subject),
        subject=subject,
        email=email if _is_name(email) else None,
    )


def _is_name(claim: object) -> TypeGuard[str]:
    return (
        isinstance(claim, str)
        and 0 < len(claim.encode(errors="replace")) <= _LONGEST_CLAIM_BYTES
        and is_storable(claim)
    )
