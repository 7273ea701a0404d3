"""Cursors lead back to the exact place where they were made, and to no other."""

import base64
import hashlib
import struct
from datetime import UTC, datetime

import pytest

from taskchat.conversations.cursors import Position, decode, encode
from taskchat.errors import InvalidRequestError

POSITION = Position(datetime(2026, 3, 31, 12, 0, 0, 123457, tzinfo=UTC), 42)
SCOPE = "messages of 7"
CURSOR = encode(POSITION, SCOPE)


@pytest.mark.parametrize(
    "position",
    [
        POSITION,
        Position(datetime(1970, 1, 1, tzinfo=UTC), 1),
        Position(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 1),
        Position(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 2**63 - 1),
    ],
)
def test_a_cursor_is_exact_to_the_microsecond(position: Position) -> None:
    assert decode(encode(position, SCOPE), SCOPE) == position


@pytest.mark.parametrize("place", range(len(CURSOR)))
def test_no_single_character_can_be_edited(place: int) -> None:
    other = "B" if CURSOR[place] == "A" else "A"
    with pytest.raises(InvalidRequestError) as refused:
        decode(CURSOR[:place] + other + CURSOR[place + 1 :], SCOPE)
    assert [field.field for field in refused.value.fields] == ["cursor"]


def sealed(packed: bytes) -> str:
    """Return what somebody would make who has read the code."""
    return base64.urlsafe_b64encode(packed + hashlib.sha256(SCOPE.encode() + packed).digest()[:8]).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        " ",
        "7",
        "null",
        CURSOR[:-1],
        CURSOR + "A",
        CURSOR + "=",
        CURSOR + "\n",
        " " + CURSOR,
        CURSOR + CURSOR,
        CURSOR.swapcase(),
        "+/" + CURSOR[2:],
        "A" * 32,
        "\x00" * 32,
        "ü" * 32,
        "\ud800" * 32,
        "٣" * 32,
        "A" * 1_000_000,
        sealed(struct.pack(">qq", 2**63 - 1, 1)),
        sealed(struct.pack(">qq", -(2**63), 1)),
    ],
    ids=lambda cursor: ascii(cursor[:40]),
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        decode(cursor, SCOPE)
    assert [field.field for field in refused.value.fields] == ["cursor"]


@pytest.mark.parametrize("scope", ["messages of 8", "conversations of 7", ""])
def test_the_cursor_of_another_list_is_refused(scope: str) -> None:
    with pytest.raises(InvalidRequestError):
        decode(CURSOR, scope)
