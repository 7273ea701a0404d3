"""Turns of the agent without a database: what would be recorded is kept in memory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from taskchat import agent

BEGAN_AT = datetime(2026, 11, 25, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))


@dataclass(frozen=True)
class Recorded:
    """A recorded message, and a step."""

    role: str
    content: str
    tool_calls: Sequence[Mapping[str, Any]] | None = None
    model_context: Mapping[str, Any] | None = None


class ProcessDiedError(Exception):
    """Raised in place of a process that dies between two steps."""


@dataclass
class Conversation:
    """A conversation whose turns are recorded as the database would; every tool succeeds."""

    history: list[Recorded] = field(default_factory=list)
    steps: list[Recorded] = field(default_factory=list)
    state: Mapping[str, Any] | None = None
    completions: list[agent.Completion] = field(default_factory=list)
    result: Mapping[str, Any] = field(default_factory=lambda: {"id": 7, "title": "Milk"})

    def say(
        self, provider: agent.Provider, message: str, *, dies_after: int | None = None, seconds: float = 20.0
    ) -> agent.Completion:
        """Run a turn, or what is left of it; `dies_after` counts the steps that are recorded before it dies."""

        def record_step(completion: agent.Completion) -> Sequence[Mapping[str, Any]]:
            if len(self.steps) == dies_after:
                raise ProcessDiedError
            self.completions.append(completion)
            calls = [self._record(request.id, request.tool, request.arguments) for request in completion.requests]
            self.steps.append(Recorded("assistant", completion.content, calls, _stored(completion.model_context)))
            self.state = _stored(completion.provider_state)
            return calls

        context = agent.time_context(BEGAN_AT)
        question = agent.Question(message, context, self.history, list(self.steps), self.state)
        answer = agent.run(provider, question, record_step=record_step, model_seconds=lambda: seconds)
        self.completions.append(answer)
        self.history += [
            Recorded("user", message, None, context),
            *self.steps,
            Recorded("assistant", answer.content, None, _stored(answer.model_context)),
        ]
        self.steps, self.state = [], None
        return answer

    def _record(self, call_id: str, tool: str, arguments: str) -> Mapping[str, Any]:
        return {"id": call_id, "tool": tool, "arguments": json.loads(arguments), "result": self.result}


def _stored(value: Mapping[str, Any] | None) -> Any:
    """Return what comes back from a JSON column."""
    return None if value is None else json.loads(json.dumps(value))
