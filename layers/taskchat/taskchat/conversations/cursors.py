"""Cursors: the position at which a page ended, as opaque text that is valid for one list only."""

import base64
import hashlib
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from taskchat.errors import InvalidField, InvalidRequestError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_POSITION = struct.Struct(">qq")
_CHECKSUM_BYTES = 8
_FORM = re.compile("[A-Za-z0-9_-]{32}")
"""24 bytes in base64url: a position and its checksum. There is no padding, so each cursor has one spelling."""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in an order by time and id; `moment` is aware, to the microsecond."""

    moment: datetime
    id: int


def encode(position: Position, scope: str) -> str:
    """Return the cursor of a position in the list that `scope` names."""
    packed = _POSITION.pack((position.moment - _EPOCH) // _MICROSECOND, position.id)
    return base64.urlsafe_b64encode(packed + _checksum(packed, scope)).decode()


def decode(cursor: str, scope: str) -> Position:
    """Return the position that `encode` got with the same `scope`.

    Raises:
        InvalidRequestError: the cursor was not made here, was edited, or belongs to another list.
    """
    if not _FORM.fullmatch(cursor):
        raise _invalid()
    decoded = base64.urlsafe_b64decode(cursor)
    packed, checksum = decoded[:-_CHECKSUM_BYTES], decoded[-_CHECKSUM_BYTES:]
    if checksum != _checksum(packed, scope):
        raise _invalid()
    microseconds, row_id = _POSITION.unpack(packed)
    try:
        return Position(_EPOCH + microseconds * _MICROSECOND, row_id)
    except OverflowError:
        raise _invalid() from None


def _checksum(packed: bytes, scope: str) -> bytes:
    # The checksum catches mistakes. It needs no secret, because every query names the person.
    return hashlib.sha256(scope.encode() + packed).digest()[:_CHECKSUM_BYTES]


def _invalid() -> InvalidRequestError:
    field = InvalidField("cursor", "Give the next_cursor of this list's last page as it came, or none.")
    return InvalidRequestError("The cursor does not belong to this list.", [field])
