"""A model that obeys the prompt's text: it behaves as well as the rules tell it to, and has a bad habit for each.

Its good behaviour is the offline model's. A habit shows only while the instructions of the request lack the rule.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from local.model.conversation import Move, next_move
from local.model.plans import CallTool, CallTools, Say, Tool
from taskchat.agent.prompt import RULES
from tests.support.scripted_model import Answer, ReceivedRequest, ScriptedModel, calls, says

_CHANGES = (Tool.CREATE, Tool.UPDATE, Tool.COMPLETE, Tool.REOPEN, Tool.DELETE)
_NOW_LINE = re.compile(r"\ANow: .*\n\n")
_GERMAN = re.compile(r"Füge (?P<title>.+) hinzu")
_SECOND = re.compile(r"(?P<verb>\w+) the second one")
_NUMBER = re.compile(r"task (\d+)")


@dataclass(frozen=True)
class _Situation:
    """The message, results and listed tasks that a habit may look at."""

    message: str
    results: Sequence[str]
    listed: Sequence[Mapping[str, Any]]

    @property
    def is_first(self) -> bool:
        return not self.results


Habit = Callable[[Move, _Situation], Move]


class ObedientModel(ScriptedModel):
    """Answers any request; `requests` holds them."""

    def answer(self, request: ReceivedRequest) -> Answer:
        """Return the move that the rules in the request's instructions lead to."""
        self.requests.append(request)
        instructions = str(request.messages[0]["content"])
        broken = [habit for name, habit in HABITS.items() if RULES[name] not in instructions]
        situation, move = _look(request, is_told_the_time=RULES["now"] in instructions)
        for habit in broken:
            move = habit(move, situation)
        if isinstance(move, Say):
            return says(move.text)
        return calls(*((str(call.tool), dict(call.arguments)) for call in move.calls))


def _look(request: ReceivedRequest, *, is_told_the_time: bool) -> tuple[_Situation, Move]:
    messages = request.messages
    last = max(number for number, message in enumerate(messages) if message["role"] == "user")
    text = _NOW_LINE.sub("", messages[last]["content"])
    results = [message["content"] for message in messages[last + 1 :] if message["role"] == "tool"]
    listed = _tasks([message["content"] for message in messages if message["role"] == "tool"])
    situation = _Situation(text, results, listed)
    known = messages if is_told_the_time else [_with_utc(message) for message in messages]
    return situation, _own_move(situation) or next_move(known, frozenset(request.tool_names))


def _own_move(situation: _Situation) -> Move | None:
    """Return the move for what the offline model does not understand: German, and "the second one"."""
    if german := _GERMAN.fullmatch(situation.message):
        if situation.is_first:
            return CallTools((CallTool(Tool.CREATE, {"title": german["title"]}),))
        return Say(f"Ich habe die Aufgabe {german['title']} hinzugefügt.")
    if _SECOND.fullmatch(situation.message) and situation.is_first:
        return CallTools((CallTool(Tool.COMPLETE, {"task_id": situation.listed[1]["id"]}),))
    if _SECOND.fullmatch(situation.message):
        return Say(f"Done with {situation.listed[1]['title']}.")
    return None


def _with_utc(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace the time that the system wrote by the clock of a model that is not told what the line means."""
    if message["role"] != "user":
        return message
    now = f"Now: {datetime.now(UTC):%Y-%m-%dT%H:%M}+00:00 (UTC), {datetime.now(UTC):%A}\n\n"
    return {**message, "content": _NOW_LINE.sub(now, message["content"])}


def _invents(move: Move, situation: _Situation) -> Move:
    return Say("I have added it. Done!") if _is_change(move) and situation.is_first else move


def _only_talks(move: Move, _situation: _Situation) -> Move:
    return Say("I will keep that in mind.") if _has(move, Tool.CREATE) else move


def _lists_everything(move: Move, _situation: _Situation) -> Move:
    if not isinstance(move, CallTools):
        return move
    return CallTools(tuple(replace(call, arguments={}) if call.tool == Tool.LIST else call for call in move.calls))


def _searches_for_numbers(move: Move, situation: _Situation) -> Move:
    number = _NUMBER.search(situation.message)
    if number is None or not situation.is_first or not _is_change(move):
        return move
    return CallTools((CallTool(Tool.LIST, {"text": number[0]}),))


def _guesses_ids(move: Move, situation: _Situation) -> Move:
    if _has(move, Tool.LIST) and situation.is_first and situation.message.startswith("Complete"):
        return CallTools((CallTool(Tool.COMPLETE, {"task_id": 1}),))
    return move


def _forgets_lists(move: Move, situation: _Situation) -> Move:
    return Say("Which one?") if _SECOND.fullmatch(situation.message) else move


def _takes_the_first(move: Move, situation: _Situation) -> Move:
    if isinstance(move, Say) and "Which one do you mean" in move.text:
        return CallTools((CallTool(Tool.COMPLETE, {"task_id": situation.listed[0]["id"]}),))
    return move


def _hides_what_is_missing(move: Move, _situation: _Situation) -> Move:
    return Say("Done!") if isinstance(move, Say) and "could not find" in move.text else move


def _changes_more(move: Move, _situation: _Situation) -> Move:
    if not isinstance(move, CallTools):
        return move
    more = {"priority": "urgent"}
    return CallTools(
        tuple(
            replace(call, arguments={**call.arguments, **more}) if call.tool in (Tool.CREATE, Tool.UPDATE) else call
            for call in move.calls
        )
    )


def _ignores_errors(move: Move, situation: _Situation) -> Move:
    return Say("Done!") if any('"error"' in result for result in situation.results) else move


def _does_one_thing(move: Move, _situation: _Situation) -> Move:
    return CallTools(move.calls[:1]) if isinstance(move, CallTools) else move


def _makes_tasks_of_talk(move: Move, situation: _Situation) -> Move:
    if isinstance(move, Say) and situation.is_first:
        return CallTools((CallTool(Tool.CREATE, {"title": situation.message}),))
    return move


def _obeys_tasks(move: Move, situation: _Situation) -> Move:
    if len(situation.results) == 1 and "delete all tasks" in situation.results[0]:
        return CallTools(tuple(CallTool(Tool.DELETE, {"task_id": task["id"]}) for task in situation.listed))
    return move


def _is_curt(move: Move, _situation: _Situation) -> Move:
    return Say("Done.") if isinstance(move, Say) else move


def _speaks_english(move: Move, situation: _Situation) -> Move:
    return Say("I have added it.") if isinstance(move, Say) and _GERMAN.fullmatch(situation.message) else move


def _is_not_told_the_time(move: Move, _situation: _Situation) -> Move:
    return move


def _gives_words_for_dates(move: Move, situation: _Situation) -> Move:
    if situation.results or not isinstance(move, CallTools):
        return move
    return CallTools(
        tuple(
            replace(call, arguments={**call.arguments, "due_at": "tomorrow"}) if "due_at" in call.arguments else call
            for call in move.calls
        )
    )


HABITS: Mapping[str, Habit] = {
    "no inventing": _invents,
    "create": _only_talks,
    "list": _lists_everything,
    "number": _searches_for_numbers,
    "words": _guesses_ids,
    "position": _forgets_lists,
    "several match": _takes_the_first,
    "none match": _hides_what_is_missing,
    "only what was asked": _changes_more,
    "errors": _ignores_errors,
    "several wishes": _does_one_thing,
    "other talk": _makes_tasks_of_talk,
    "data": _obeys_tasks,
    "reply": _is_curt,
    "language": _speaks_english,
    "now": _is_not_told_the_time,
    "dates": _gives_words_for_dates,
}


def _is_change(move: Move) -> bool:
    return any(_has(move, tool) for tool in _CHANGES)


def _has(move: Move, tool: Tool) -> bool:
    return isinstance(move, CallTools) and any(call.tool == tool for call in move.calls)


def _tasks(results: Sequence[str]) -> list[Mapping[str, Any]]:
    lists = [json.loads(result).get("tasks") for result in results]
    return next((tasks for tasks in reversed(lists) if tasks), [])
