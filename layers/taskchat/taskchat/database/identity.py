"""The identity of a transaction: its role on PostgreSQL, and the person whose rows it may reach.

Row-level security compares each row with the person (`migrations/row_security.py`). SQLite has no roles.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

APP_ROLE = "taskchat_app"
"""May read and write the rows of one person."""
SWEEP_ROLE = "taskchat_sweep"
"""May find and delete what is left over, whoever owns it. It can read no text of a person."""


@dataclass(frozen=True)
class Identity:
    """A role, and a person by their own id or by the id of one of their turns. With neither, no row is visible."""

    role: str = APP_ROLE
    user_id: uuid.UUID | None = None
    turn_id: uuid.UUID | None = None


NOBODY = Identity()
_current: ContextVar[Identity] = ContextVar("identity", default=NOBODY)


def current() -> Identity:
    """Return the identity for the next transaction, `NOBODY` outside of `keeping`."""
    return _current.get()


@contextmanager
def keeping(identity: Identity) -> Iterator[None]:
    """Make `identity` the current one within the block."""
    token = _current.set(identity)
    try:
        yield
    finally:
        _current.reset(token)
