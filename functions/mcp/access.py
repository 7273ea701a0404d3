"""Access of one MCP request to one person's data, within the time that the request has."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar

from sqlalchemy import Connection

from taskchat.audit import Client, run_tool
from taskchat.database import Database
from taskchat.limits import Limits
from taskchat.principal import Principal
from taskchat.toolkit import ToolCall

Result = TypeVar("Result")

TIME_ZONE = UTC
"""The protocol does not transmit a time zone, so the server's instructions ask clients for offsets."""


@dataclass(frozen=True)
class Access:
    """One person's data during one request."""

    person: Principal
    database: Database
    seconds_left: Callable[[], float]
    limits: Limits

    def transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Run work in one transaction within the time that is left.

        Raises:
            DatabaseUnavailableError: the database did not do it in time.
        """
        return self.database.transaction(self.person.user_id, work, seconds_left=self.seconds_left)

    def call(self, client: str, tool: str, arguments: dict[str, Any], key: str | None) -> ToolCall:
        """Run a tool for the client named `client`, once for each `key`, and return its record."""
        return run_tool(
            self.transaction,
            Client(self.person, client, limits=self.limits),
            tool,
            json.dumps(arguments),
            TIME_ZONE,
            key=key,
        )
