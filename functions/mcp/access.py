"""What an MCP request may reach: the data of one person, for as long as there is time."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar

from sqlalchemy import Connection

from taskchat.audit import Client, run_tool
from taskchat.database import Database
from taskchat.principal import Principal
from taskchat.toolkit import ToolCall

Result = TypeVar("Result")

TIME_ZONE = UTC
"""The protocol tells nothing of where a person lives; clients are asked to give offsets."""
ANSWER_SECONDS = 1.0
"""What is kept back for the answer's way home."""


@dataclass(frozen=True)
class Access:
    """One person's data during one request."""

    person: Principal
    database: Database
    seconds_left: Callable[[], float]

    def transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Run work in one transaction that is given up, undone, before the request runs out of time.

        Raises:
            DatabaseUnavailableError: the database did not do it in time.
        """
        return self.database.transaction(work, seconds_left=lambda: self.seconds_left() - ANSWER_SECONDS)

    def call(self, client: str, tool: str, arguments: dict[str, Any]) -> ToolCall:
        """Run a tool for a client of that name, and return its record."""
        return run_tool(self.transaction, Client(self.person, client), tool, json.dumps(arguments), TIME_ZONE)
