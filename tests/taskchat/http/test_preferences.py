"""The header `Prefer` in the forms that RFC 7240 allows."""

import pytest

from taskchat.http.preferences import Preference, parse


@pytest.mark.parametrize(
    ("header", "preference"),
    [
        ("", Preference()),
        ("respond-async", Preference(respond_async=True)),
        ("Respond-Async", Preference(respond_async=True)),
        ("respond-async, wait=20", Preference(respond_async=True, wait_seconds=20)),
        ('wait = "20" ; foo=1 , respond-async', Preference(respond_async=True, wait_seconds=20)),
        ("return=minimal; note=respond-async", Preference()),
        ('note="x, respond-async"', Preference()),
        ("respond-async=", Preference(respond_async=True)),
        ("wait=5, wait=9, respond-async", Preference(respond_async=True, wait_seconds=5)),
        ("respond-async, wait=-1", Preference(respond_async=True)),
        ("respond-async, wait=1.5", Preference(respond_async=True)),
        ("respond-async, wait=soon", Preference(respond_async=True)),
        ("respond-async, wait=\u0661", Preference(respond_async=True)),
        ("respond-async, wait=99999999999999999999", Preference(respond_async=True)),
        (", ,;=,respond-async", Preference(respond_async=True)),
    ],
)
def test_a_preference_is_read(header: str, preference: Preference) -> None:
    assert parse(header) == preference


@pytest.mark.parametrize(
    ("preference", "applied"),
    [
        (Preference(respond_async=True), "respond-async"),
        (Preference(respond_async=True, wait_seconds=20), "respond-async, wait=20"),
    ],
)
def test_the_applied_preference_is_told(preference: Preference, applied: str) -> None:
    assert preference.applied == applied
