"""Map each failure of the database to a reaction, by SQLSTATE (PostgreSQL 17, appendix A) or SQLite's result code."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

Failure = DBAPIError | PoolTimeoutError


class Reaction(enum.Enum):
    """How a transaction reacts to a failure."""

    RAISE = enum.auto()
    """The statement, or the data in it, is at fault: raise the error as it is."""
    REPEAT = enum.auto()
    """The server rolled back and is well: repeat on the same connection while time is left."""
    RECONNECT = enum.auto()
    """The connection or the server is in trouble that passes: repeat on a new connection while time is left."""
    RECONNECT_ONCE = enum.auto()
    """The trouble may last: repeat once, on a new connection."""
    GIVE_UP = enum.auto()
    """A repetition would cost the server as much again: raise DatabaseUnavailableError."""
    REPORT = enum.auto()
    """An operator has to change something: raise DatabaseUnusableError."""


@dataclass(frozen=True)
class Trouble:
    """A reaction, and the cause in words that a caller may read."""

    reaction: Reaction
    cause: str = "The database does not answer right now."


_STATEMENT = Trouble(Reaction.RAISE)
_REPEAT = Trouble(Reaction.REPEAT)
_RECONNECT = Trouble(Reaction.RECONNECT)
_NOT_MIGRATED = Trouble(Reaction.REPORT, "The database has not been migrated to this release.")

BY_STATE: Mapping[str, Trouble] = {
    "22023": _NOT_MIGRATED,  # invalid parameter value: SET ROLE to a role that does not exist
    "25006": Trouble(Reaction.RECONNECT, "The database is read-only right now."),
    "25P03": _RECONNECT,  # idle in transaction for too long, as after a freeze; the session has ended
    "25P04": Trouble(Reaction.GIVE_UP, "The transaction took too long and was cancelled."),
    "40002": _STATEMENT,  # an integrity constraint
    "42501": Trouble(Reaction.REPORT, "The database's role lacks a privilege."),
    "42703": _NOT_MIGRATED,  # undefined column
    "42704": _NOT_MIGRATED,  # undefined object
    "42883": _NOT_MIGRATED,  # undefined function
    "42P01": _NOT_MIGRATED,  # undefined table
    "42P10": _NOT_MIGRATED,  # no unique index fits an ON CONFLICT
    "53100": Trouble(Reaction.RECONNECT_ONCE, "The database's disk is full."),
    "53300": Trouble(Reaction.RECONNECT, "The database has no connection left."),
    "53400": Trouble(Reaction.GIVE_UP, "The statement needs more resources than the database allows."),
    "55P03": Trouble(Reaction.REPEAT, "The database could not lock a row in time."),
    "57014": Trouble(Reaction.GIVE_UP, "The database took too long and was stopped."),
    "XX001": Trouble(Reaction.REPORT, "The database reports damaged data."),
    "XX002": Trouble(Reaction.REPORT, "The database reports a damaged index."),
}
"""States that differ from their class."""

BY_CLASS: Mapping[str, Trouble] = {
    "00": _STATEMENT,  # successful completion
    "01": _STATEMENT,  # warning
    "02": _STATEMENT,  # no data
    "03": _STATEMENT,  # SQL statement not yet complete
    "08": _RECONNECT,  # connection exception; PgBouncer's own errors, too
    "09": _STATEMENT,  # triggered action exception
    "0A": _STATEMENT,  # feature not supported
    "0B": _STATEMENT,  # invalid transaction initiation
    "0F": _STATEMENT,  # locator exception
    "0L": _STATEMENT,  # invalid grantor
    "0P": _NOT_MIGRATED,  # invalid role specification
    "0Z": _STATEMENT,  # diagnostics exception
    "10": _STATEMENT,  # XQuery error
    "20": _STATEMENT,  # case not found
    "21": _STATEMENT,  # cardinality violation
    "22": _STATEMENT,  # data exception
    "23": _STATEMENT,  # integrity constraint violation
    "24": _STATEMENT,  # invalid cursor state
    "25": _STATEMENT,  # invalid transaction state
    "26": _STATEMENT,  # invalid SQL statement name
    "27": _STATEMENT,  # triggered data change violation
    "28": Trouble(Reaction.RECONNECT_ONCE, "The database refused the credentials."),  # a secret may be read anew
    "2B": _STATEMENT,  # dependent privilege descriptors still exist
    "2D": _STATEMENT,  # invalid transaction termination
    "2F": _STATEMENT,  # SQL routine exception
    "34": _STATEMENT,  # invalid cursor name
    "38": _STATEMENT,  # external routine exception
    "39": _STATEMENT,  # external routine invocation exception
    "3B": _STATEMENT,  # savepoint exception
    "3D": Trouble(Reaction.REPORT, "The database does not exist."),
    "3F": _NOT_MIGRATED,  # invalid schema name
    "40": _REPEAT,  # transaction rollback: a deadlock, a serialization failure
    "42": _STATEMENT,  # syntax error or access rule violation
    "44": _STATEMENT,  # WITH CHECK OPTION violation
    "53": _RECONNECT,  # insufficient resources
    "54": _STATEMENT,  # program limit exceeded: an index row, a nesting, too large
    "55": _STATEMENT,  # object not in prerequisite state
    "57": _RECONNECT,  # operator intervention: shutdown, start-up, failover
    "58": _RECONNECT,  # system error: input and output
    "72": _REPEAT,  # snapshot failure
    "F0": _RECONNECT,  # configuration file error
    "HV": _STATEMENT,  # foreign data wrapper error
    "P0": _STATEMENT,  # PL/pgSQL error
    "XX": Trouble(Reaction.RECONNECT_ONCE),  # internal error
}

_SQLITE: Mapping[int, Trouble] = {
    5: _REPEAT,  # SQLITE_BUSY
    6: _REPEAT,  # SQLITE_LOCKED
    8: Trouble(Reaction.RECONNECT_ONCE, "The database is read-only right now."),
    10: Trouble(Reaction.RECONNECT_ONCE, "The database's disk fails."),
    11: Trouble(Reaction.REPORT, "The database's file is damaged."),
    13: Trouble(Reaction.RECONNECT_ONCE, "The database's disk is full."),
    14: Trouble(Reaction.RECONNECT_ONCE, "The database's file cannot be opened."),
    15: _REPEAT,  # SQLITE_PROTOCOL: a race for a lock of WAL
    26: Trouble(Reaction.REPORT, "The database's file is not one of SQLite."),
}
"""By primary result code (sqlite.org/rescode.html), the low byte of an extended one."""
_PRIMARY_CODE = 0xFF
_SQLITE_NOT_MIGRATED = ("no such table", "no such column", "has no column named")


def trouble_of(error: Failure) -> Trouble:
    """Return the reaction to `error`, and its cause."""
    if isinstance(error, PoolTimeoutError):
        return _REPEAT
    if (sqlite_code := getattr(error.orig, "sqlite_errorcode", None)) is not None:
        if any(words in str(error.orig) for words in _SQLITE_NOT_MIGRATED):
            return _NOT_MIGRATED
        return _SQLITE.get(sqlite_code & _PRIMARY_CODE, _STATEMENT)
    if (state := sqlstate(error)) is not None:
        return BY_STATE.get(state) or BY_CLASS.get(state[:2], _STATEMENT)
    # An error without a state comes from the driver, which could not connect or lost the connection.
    is_lost = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return _RECONNECT if is_lost else _STATEMENT


def sqlstate(error: Failure) -> str | None:
    """Return the five characters that the server sent with `error`, None if it sent none."""
    return getattr(getattr(error, "orig", None), "pgcode", None)
