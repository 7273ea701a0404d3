"""The planners of the table of intents: each makes a plan of the parts of a sentence."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from local.model.clock import Clock, read_when
from local.model.phrases import PRIORITIES, PRIORITY, QUOTES, new_task, new_tasks, read_priority, target, title
from local.model.plans import Agenda, CallTool, CallTools, Ids, OnAll, OnTask, Plan, Say, Tool, Undo

Planner = Callable[[re.Match[str], Clock], Plan | None]
"""Makes a plan of a pattern's match, or returns None, so that the next row is tried."""

MOST_AT_ONCE = 20
"""Tool calls in one reply; the agent takes 32."""

_PENDING = re.compile(
    r"\b(?:pending|open|left|outstanding|remaining|incomplete|unfinished|undone|active|to do|plate|overdue|still|"
    r"upcoming|not (?:yet )?(?:done|completed?|finished))\b"
)
_COMPLETED = re.compile(r"\b(?:completed?|done|finished|accomplished)\b")
_OF_PRIORITY = re.compile(rf"\b({PRIORITY})(?:[- ]priority\b| tasks?\b| to-?dos?\b)")
_ALL = re.compile(
    r"(?:all|every|everything|all of (?:it|them))(?: (?:of )?(?:my|the))?(?: (?:pending|open|completed|finished|done))?"
    r"(?: (?:tasks?|to-?dos?|reminders?|items?))?",
    re.IGNORECASE,
)
_STATUS_OF_ALL = {Tool.COMPLETE: "pending", Tool.REOPEN: "completed"}
_DAY = re.compile(r"\b(today|tomorrow|this week|next week)\b")
_ABOUT = re.compile(r"\b(?:about|containing|with the words?|mentioning) (.+)", re.IGNORECASE)


def say(text: str) -> Planner:
    """Plan an answer in words."""
    return lambda _found, _clock: Say(text)


def on_task(tool: Tool) -> Planner:
    """Plan a tool for the tasks in the group `target`."""

    def plan(found: re.Match[str], _clock: Clock) -> Plan | None:
        if _ALL.fullmatch(found["target"]):
            return OnAll(tool, _STATUS_OF_ALL.get(tool, "all"))
        meant = target(found["target"])
        if isinstance(meant, Ids) and len(meant.ids) > MOST_AT_ONCE:
            return Say(f"That is a lot at once. I do up to {MOST_AT_ONCE} tasks at a time.")
        return OnTask(tool, meant) if meant else None

    return plan


def update(field: str) -> Planner:
    """Plan a change of one field, to what the group `value` says."""

    def plan(found: re.Match[str], clock: Clock) -> Plan | None:
        meant = target(found["target"])
        value = _value(field, found["value"], clock)
        return OnTask(Tool.UPDATE, meant, {field: value}) if meant and value else None

    return plan


def create(found: re.Match[str], clock: Clock) -> Plan:
    """Plan a new task from the group `title` and, where the pattern has one, `priority`."""
    parts = found.groupdict()
    return _create([new_task(parts["title"], clock, parts.get("priority"))])


def create_several(found: re.Match[str], clock: Clock) -> Plan:
    """Plan a new task for each item that the group `titles` enumerates."""
    return _create(new_tasks(found["titles"], clock, found["priority"]))


def create_each(found: re.Match[str], clock: Clock) -> Plan:
    """Plan a new task for each item of a list with commas, as in "milk, bread and call mom"; else a single one."""
    text = found["title"]
    several = new_tasks(text, clock)
    is_list = "," in text and not text.lstrip().startswith(tuple(QUOTES)) and all(task["title"] for task in several)
    return _create(several) if is_list else create(found, clock)


def agenda(found: re.Match[str], clock: Clock) -> Plan | None:
    """Plan to tell what is due by a day and what has no date; a question for what is due is another row's."""
    text = found[0].lower()
    before = _due_before(text, clock)
    if before is None or re.search(r"\b(?:due|overdue|deadline)", text):
        return None
    return Agenda(found["day"].lower(), before)


def undo(_found: re.Match[str], _clock: Clock) -> Plan:
    """Plan to take the last change back."""
    return Undo()


def list_tasks(found: re.Match[str], clock: Clock) -> Plan:
    """Plan a list, narrowed by the status, priority, date and topic that the sentence names."""
    text = found[0].lower()
    before = _due_before(text, clock)
    priority = _OF_PRIORITY.search(text)
    about = _ABOUT.search(found[0])
    arguments: dict[str, Any] = {"status": _status(text, dated=before is not None)}
    if priority:
        arguments["priority"] = PRIORITIES[priority[1]]
    if before:
        arguments["due_before"] = before.isoformat()
    if about:
        arguments["text"] = _bare(about[1])
    return CallTools((CallTool(Tool.LIST, arguments),))


def search(found: re.Match[str], _clock: Clock) -> Plan | None:
    """Plan a search for the group `words`."""
    words = _bare(found["words"])
    return CallTools((CallTool(Tool.LIST, {"status": "all", "text": words}),)) if words else None


def _create(tasks: Sequence[Mapping[str, Any]]) -> Plan:
    named = [task for task in tasks if task["title"]]
    if not named:
        return Say("What is the task? Tell me, such as: Add a task to buy groceries.")
    if len(named) > MOST_AT_ONCE:
        return Say(f"That is a lot at once. I add up to {MOST_AT_ONCE} tasks at a time.")
    return CallTools(tuple(CallTool(Tool.CREATE, task) for task in named))


def _value(field: str, text: str, clock: Clock) -> str | None:
    if field == "priority":
        return read_priority(text)
    if field == "due_at":
        moment = read_when(text, clock) or read_when(f"at {text}", clock)
        return moment.isoformat() if moment else None
    return title(text)


def _status(text: str, *, dated: bool) -> str:
    if _PENDING.search(text):
        return "pending"
    if _COMPLETED.search(text):
        return "completed"
    return "pending" if dated else "all"


def _due_before(text: str, clock: Clock) -> datetime | None:
    if "overdue" in text:
        return clock.now.replace(microsecond=0)
    day = _DAY.search(text)
    if not day:
        return None
    last_day = read_when(day[1], clock)
    if day[1] == "next week":
        last_day = clock.at(clock.now.date() + timedelta(days=13 - clock.now.weekday()))
    return clock.at(last_day.date() + timedelta(days=1), time(0)) if last_day else None


def _bare(words: str) -> str:
    return words.strip(f" .,!?{QUOTES}")
