"""Who is calling, by the claims that the gateway verified."""

from typing import Any

import pytest

from taskchat import principal
from taskchat.errors import UnauthenticatedError


def event(claims: object) -> dict[str, Any]:
    return {"requestContext": {"authorizer": {"jwt": {"claims": claims}}}}


def test_the_same_issuer_and_subject_are_always_the_same_person() -> None:
    claims = {"iss": "https://issuer.example", "sub": "ann", "email": "ann@example.org"}
    ann = principal.from_event(event(claims))
    assert ann.subject == "https://issuer.example ann"
    assert ann.email == "ann@example.org"
    assert principal.from_event(event(claims | {"email": "other@example.org"})).user_id == ann.user_id


def test_an_email_that_no_database_can_hold_is_left_out() -> None:
    assert principal.from_event(event({"iss": "https://issuer.example", "sub": "ann", "email": "a\x00"})).email is None


def test_another_subject_and_another_issuer_are_another_person() -> None:
    people = {
        principal.from_event(event({"iss": issuer, "sub": sub})).user_id
        for issuer in ("https://one.example", "https://two.example")
        for sub in ("ann", "bob")
    }
    assert len(people) == 4


@pytest.mark.parametrize(
    "unverified",
    [
        {},
        {"requestContext": None},
        {"requestContext": {"authorizer": {}}},
        {"requestContext": {"authorizer": {"lambda": {"iss": "i", "sub": "s"}}}},
        {"headers": {"authorization": "Bearer token"}},
        event(None),
        event("claims"),
        event({}),
        event({"iss": "https://issuer.example"}),
        event({"sub": "ann"}),
        event({"iss": "", "sub": "ann"}),
        event({"iss": "https://issuer.example", "sub": ""}),
        event({"iss": "https://issuer.example", "sub": 7}),
        event({"iss": "two words", "sub": "ann"}),
        event({"iss": "https://issuer.example", "sub": "a\x00"}),
    ],
)
def test_without_verified_claims_nobody_is_calling(unverified: dict[str, Any]) -> None:
    with pytest.raises(UnauthenticatedError):
        principal.from_event(unverified)
