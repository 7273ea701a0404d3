"""What an MCP request may reach: the data of one person, for as long as there is time."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar

from sqlalchemy import Connection, event

from taskchat.audit import Client, run_tool
from taskchat.database import Database
from taskchat.errors import DatabaseUnavailableError
from taskchat.principal import Principal
from taskchat.toolkit import ToolCall

Result = TypeVar("Result")

TIME_ZONE = UTC
"""The protocol tells nothing of where a person lives; clients are asked to give offsets."""
ANSWER_SECONDS = 1.0
"""What is kept back for the answer's way home."""


@dataclass(frozen=True)
class Access:
    """One person's data during one request; `deadline_seconds` is the longest that a statement may take."""

    person: Principal
    database: Database
    seconds_left: Callable[[], float]
    deadline_seconds: float

    def transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Run work in one transaction that is given up, undone, before the request runs out of time.

        Raises:
            DatabaseUnavailableError: the next statement, or connecting, might not come to its end.
        """

        def bounded(connection: Connection) -> Result:
            event.listen(connection, "before_cursor_execute", self._check_time)
            return work(connection)

        return self.database.transaction(bounded, before_each_try=self._check_time)

    def call(self, client: str, tool: str, arguments: dict[str, Any]) -> ToolCall:
        """Run a tool for a client of that name, and return its record."""
        return run_tool(self.transaction, Client(self.person, client), tool, json.dumps(arguments), TIME_ZONE)

    def _check_time(self, *_statement: object) -> None:
        if self.seconds_left() < self.deadline_seconds + ANSWER_SECONDS:
            raise DatabaseUnavailableError(
                "This took too long and was given up; nothing has changed.", retry_after_seconds=1
            )
