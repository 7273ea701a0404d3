"""Where a page ended, as an opaque text that only means something where it was made."""

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
_SEAL_BYTES = 8
_FORM = re.compile("[A-Za-z0-9_-]{32}")
"""24 bytes, a position and its seal, in base64url: no padding, and no bits left over for a second spelling."""


@dataclass(frozen=True, slots=True)
class Position:
    """A row's place in an order by time and id; `moment` is aware, and exact to the microsecond."""

    moment: datetime
    id: int


def encode(position: Position, scope: str) -> str:
    """Return the cursor of a position; `scope` names the list that it belongs to."""
    packed = _POSITION.pack((position.moment - _EPOCH) // _MICROSECOND, position.id)
    return base64.urlsafe_b64encode(packed + _seal(packed, scope)).decode()


def decode(cursor: str, scope: str) -> Position:
    """Return the position that `encode` was given with the same `scope`.

    Raises:
        InvalidRequestError: the cursor was not made here, was edited, or belongs to another list.
    """
    if not _FORM.fullmatch(cursor):
        raise _invalid()
    sealed = base64.urlsafe_b64decode(cursor)
    packed, seal = sealed[:-_SEAL_BYTES], sealed[-_SEAL_BYTES:]
    if seal != _seal(packed, scope):
        raise _invalid()
    microseconds, row_id = _POSITION.unpack(packed)
    try:
        return Position(_EPOCH + microseconds * _MICROSECOND, row_id)
    except OverflowError:
        raise _invalid() from None


def _seal(packed: bytes, scope: str) -> bytes:
    # No secret: it finds slips, and need not keep anyone out, since each query names the person.
    return hashlib.sha256(scope.encode() + packed).digest()[:_SEAL_BYTES]


def _invalid() -> InvalidRequestError:
    field = InvalidField("cursor", "Give the next_cursor of this list's last page as it came, or none.")
    return InvalidRequestError("The cursor does not belong to this list.", [field])
