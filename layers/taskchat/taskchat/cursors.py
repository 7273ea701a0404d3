"""Cursors: the position at which a page ended, as opaque text that is valid for one list only."""

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from taskchat.errors import InvalidField, InvalidRequestError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CHECKSUM_BYTES = 8
_PADDING = "=="


def encode(position: Sequence[int], scope: str) -> str:
    """Return the cursor of a position, numbers of 64 bits each, in the list that `scope` names."""
    packed = struct.pack(f">{len(position)}q", *position)
    return base64.urlsafe_b64encode(packed + _checksum(packed, scope)).decode().rstrip("=")


def decode(cursor: str, scope: str, length: int) -> tuple[int, ...]:
    """Return the `length` numbers that `encode` got with the same `scope`.

    Raises:
        InvalidRequestError: the cursor was not made here, was edited, or belongs to another list.
    """
    try:
        decoded = base64.b64decode(cursor + _PADDING, altchars=b"-_")
    except (binascii.Error, ValueError):
        raise invalid() from None
    packed = decoded[:-_CHECKSUM_BYTES]
    if len(packed) != 8 * length:
        raise invalid()
    position = struct.unpack(f">{length}q", packed)
    # The comparison refuses other spellings of the same bytes.
    if cursor != encode(position, scope):
        raise invalid()
    return position


def microseconds(moment: datetime) -> int:
    """Return an aware moment as a number for a position."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(number: int) -> datetime:
    """Return the moment of which `microseconds` made the number.

    Raises:
        InvalidRequestError: the number is out of range, so the cursor was not made here.
    """
    try:
        return _EPOCH + number * _MICROSECOND
    except OverflowError:
        raise invalid() from None


def invalid() -> InvalidRequestError:
    """Return the error about a cursor that does not belong to the list."""
    field = InvalidField("cursor", "Give the next_cursor of this list's last page as it came, or none.")
    return InvalidRequestError("The cursor does not belong to this list.", [field])


def _checksum(packed: bytes, scope: str) -> bytes:
    # The checksum catches mistakes. It needs no secret, because every query names the person.
    return hashlib.sha256(scope.encode() + packed).digest()[:_CHECKSUM_BYTES]
