"""Ends the work right before any one of the statements that it executes, and on both sides of each COMMIT.

The point after a statement is the one before the next: between the two nothing reaches the database.
"""

import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import psycopg2
from sqlalchemy import Engine, event


class Killed(BaseException):
    """Raised where the work ends; no code under test may catch it."""


class _NoConnection:
    def rollback(self) -> None: ...

    def close(self) -> None: ...


class KillSwitch:
    """Counts the points of a run, one for each statement and two for each commit, and acts at one of them.

    `reached` tells afterwards whether the run came that far: a point that was not reached is past the last one.
    """

    def __init__(self, point: int, act: Callable[["KillSwitch", Any], None]) -> None:
        self.point = point
        self.passed = 0
        self.reached = False
        self._act = act

    def install(self, engine: Engine) -> None:
        """Watch every statement of this engine, and its commits."""
        event.listen(engine, "before_cursor_execute", self._before_statement)
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            self.pass_by(connection)
            commit(connection)
            self.pass_by(connection)

        engine.dialect.do_commit = do_commit  # type: ignore[method-assign, assignment]

    def pass_by(self, dbapi_connection: Any) -> None:
        """Count one point, and act if it is the one."""
        self.passed += 1
        if self.passed == self.point:
            self.reached = True
            self._act(self, dbapi_connection)

    def pass_by_outside_of_the_database(self) -> None:
        """Count one point at which no connection is in use."""
        self.pass_by(_NoConnection())

    def _before_statement(self, connection: Any, *_: Any) -> None:
        self.pass_by(connection.connection.dbapi_connection)


def process_dies(switch: KillSwitch, dbapi_connection: Any) -> None:
    """End the work as if the process were gone: what is open is lost, and nothing is cleaned up afterwards."""
    dbapi_connection.rollback()  # SQLite keeps its lock for a closed connection with rows left to read
    dbapi_connection.close()
    switch.point += 1  # whoever tries to go on dies again
    raise Killed


def connection_dies(_switch: KillSwitch, dbapi_connection: Any) -> None:
    """Cut the wire to the server; nobody is told until the next use."""
    with socket.socket(fileno=os.dup(dbapi_connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def answer_is_lost(_switch: KillSwitch, dbapi_connection: Any) -> None:
    """Lose the connection with an answer on its way: nobody can tell whether what was sent happened."""
    dbapi_connection.close()
    raise psycopg2.OperationalError("server closed the connection unexpectedly")


def process_is_killed(_switch: KillSwitch, _dbapi_connection: Any) -> None:
    """End this very process by SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)
