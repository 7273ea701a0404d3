"""The table of sentences that the offline model understands: a pattern, its planner, and examples to show.

The first row that matches wins, so rows with more particular words stand first. A pattern is matched against a message
in one line, with single spaces and without polite words (see `phrases.plain`). Case does not matter.
"""

import re
from dataclasses import dataclass

from local.model.clock import Clock
from local.model.phrases import PRIORITY, plain
from local.model.planners import (
    Planner,
    agenda,
    create,
    create_each,
    create_several,
    list_tasks,
    on_task,
    say,
    search,
    undo,
    update,
)
from local.model.plans import Plan, Say, Tool


@dataclass(frozen=True)
class Intent:
    """One row of the table."""

    pattern: re.Pattern[str]
    planner: Planner
    examples: tuple[str, ...]


def understand(message: str, clock: Clock) -> Plan | None:
    """Return the plan for a person's message, or nothing when no row of the table fits."""
    text = plain(message)
    for intent in INTENTS:
        found = intent.pattern.fullmatch(text)
        plan = intent.planner(found, clock) if found else None
        if plan is not None:
            return plan
    return None


def abilities() -> str:
    """Return what can be asked, an example a line."""
    return "\n".join(f"- {example}" for intent in INTENTS for example in intent.examples)


def _help(_found: re.Match[str], _clock: Clock) -> Plan:
    return Say(f"I am the offline model, and I manage your tasks. You can say:\n{abilities()}")


def _row(pattern: str, planner: Planner, *examples: str) -> Intent:
    return Intent(re.compile(f"{pattern}[.!?]*", re.IGNORECASE), planner, examples)


_ME = r"(?: me| us)?"
_KIND = r"(?:tasks?|to-?dos?|reminders?|items?)"
_ON_LIST = rf"(?: (?:to|on|onto|in|from) (?:my|the) (?:{_KIND}|list|task list|to-?do list))?"
_TARGET = r"(?P<target>.+?)"
_NAMED_TASK = rf"(?P<target>(?:{_KIND} (?:number )?#?|#)\d+.*?|it|the .+? task)"
_DONE = r"(?:complete|completed|done|finished)"
_UNDONE = rf"(?:not (?:yet )?{_DONE}|incomplete|pending|open|undone|unfinished|to do)"
_CHANGE = r"(?:change|set|update|edit|make|mark|raise|lower)"
_RENAME = r"(?:change|rename|update|edit|retitle|reword|set)"
_MOVE = r"(?:change|set|update|move|postpone|push|reschedule|delay|make)"
_DATE = r"(?:due date|due|deadline|date)"
_STATES = r"pending|open|left|outstanding|remaining|unfinished|to do|completed?|finished|accomplished|done|due|overdue"
_PRESET = r"all|my|the|pending|open|completed|finished|done|overdue|urgent"

INTENTS: tuple[Intent, ...] = (
    _row(
        r"(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening))(?: there)?",
        say("Hello! I am the offline model. Tell me a task to remember, or ask for your tasks."),
    ),
    _row(r"(?:thanks|thank you|great|perfect|nice)(?: (?:a lot|so much|very much))?", say("You are welcome.")),
    _row(r"(?:help(?: me)?|what can (?:you|i) (?:do|say|ask)(?: for me)?|how does this work|commands|\?)", _help),
    _row(r"(?:undo|take back|revert|reverse)(?: (?:that|it|this|the last change|my last change))?(?: again)?", undo),
    # Create. "Add" comes first, because any words after it are a title.
    _row(
        rf"(?:add|create|make){_ME}(?: these| some| two| three| four| five| \d)?(?: new)?"
        rf"(?: (?P<priority>{PRIORITY})(?:[- ]priority)?)? (?:tasks|to-?dos|reminders)\b(?! #?\d){_ON_LIST}"
        r"(?::| to\b| for\b) ?(?P<titles>.+?)",
        create_several,
        "Add tasks: milk, bread and call mom",
    ),
    _row(
        rf"(?:add|create|make|new|set up|put|note|save){_ME}(?: an?| another| one more| the)?(?: new)?"
        rf"(?: (?P<priority>{PRIORITY})(?:[- ]priority)?)?(?: new)? {_KIND}\b(?! #?\d){_ON_LIST}"
        r"(?::| to\b| for\b| called\b| named\b| titled\b| that says\b| saying\b| -| that\b)? ?(?P<title>.*?)",
        create,
        "Add a task to buy groceries tomorrow",
    ),
    _row(r"(?:remind me|don't let me forget|help me remember)(?: to| that| about)? (?P<title>.+?)", create),
    _row(rf"(?:{_KIND}|note): ?(?P<title>.+?)", create),
    _row(rf"(?P<priority>{PRIORITY})(?:[- ]priority)?: ?(?P<title>.+?)", create, "Urgent: call the bank"),
    # Reopen. This comes before complete, because "not done" contains "done".
    _row(rf"(?:re-?open|un-?complete|un-?mark|un-?check|restore) {_TARGET}", on_task(Tool.REOPEN), "Reopen task 3"),
    _row(rf"(?:mark|set|flag|move) {_TARGET} (?:back )?(?:as |to |to be )?{_UNDONE}", on_task(Tool.REOPEN)),
    _row(rf"{_NAMED_TASK} (?:is|isn't|was|wasn't) {_UNDONE}(?: yet)?", on_task(Tool.REOPEN)),
    # Complete.
    _row(
        rf"(?:mark|set|flag) {_TARGET} (?:as |to |to be )?{_DONE}",
        on_task(Tool.COMPLETE),
        "Mark task 3 as complete",
        "Mark all done",
    ),
    _row(r"(?:check|tick|cross) (?:off )?(?P<target>.+?)(?: off)?", on_task(Tool.COMPLETE)),
    _row(rf"(?:complete|finish|close) {_TARGET}", on_task(Tool.COMPLETE)),
    _row(
        rf"(?:i|i have|i've|i am|i'm)(?: just| already)? (?:completed|finished|done)(?: with)? {_TARGET}",
        on_task(Tool.COMPLETE),
    ),
    _row(rf"{_NAMED_TASK} (?:is|are|was|were) {_DONE}", on_task(Tool.COMPLETE)),
    _row(rf"(?:done with|{_DONE}:) {_TARGET}", on_task(Tool.COMPLETE)),
    # Delete.
    _row(
        rf"(?:delete|remove|erase|cancel|drop|discard|get rid of|throw away) {_TARGET}{_ON_LIST}",
        on_task(Tool.DELETE),
        "Delete the meeting task",
    ),
    # Update the description, the priority, the due date or the title. A row declines a value of another kind.
    _row(
        rf"(?:{_CHANGE}|add) (?:the |a )?(?:description|notes?|details?) (?:of|for|to|on) {_TARGET}"
        r"(?: to |: ?)(?P<value>.+?)",
        update("description"),
    ),
    _row(
        rf"{_CHANGE} (?:the )?priority (?:of|for|on) {_TARGET} (?:to|as) (?P<value>.+?)",
        update("priority"),
        "Change the priority of task 1 to high",
    ),
    _row(
        rf"{_CHANGE} {_TARGET}(?:'s)?(?: priority)?(?: to| as| a| an)* (?P<value>\S+?(?:[- ]priority)?)",
        update("priority"),
    ),
    _row(rf"{_MOVE} (?:the )?{_DATE} (?:of|for|on) {_TARGET} to (?P<value>.+?)", update("due_at")),
    _row(
        rf"{_MOVE} {_TARGET}(?:'s)?(?: {_DATE})? (?:to|until|for|by|on|due) (?P<value>[^\"']+?)",
        update("due_at"),
        "Move task 2 to friday at 5pm",
    ),
    _row(rf"{_NAMED_TASK} is (?P<value>due .+?)", update("due_at")),
    _row(rf"{_RENAME} (?:the )?(?:title|name) of {_TARGET} (?:to|as|into) (?P<value>.+?)", update("title")),
    _row(
        rf"{_RENAME} {_TARGET}(?:'s)?(?: title| name)? (?:to|as|into) (?P<value>.+)",
        update("title"),
        "Change task 1 to 'Call mom tonight'",
    ),
    # List and show.
    _row(
        r"(?:what|what's)\b.*\b(?P<day>today|tomorrow|this week|next week)\b.*",
        agenda,
        "What do I have to do today?",
    ),
    _row(
        rf"(?:(?:show|display|get|give|open|view|see|tell|describe|what's|what is){_ME}(?: about)? )?"
        rf"(?:(?:the )?details of )?(?P<target>{_KIND} (?:number )?#?\d+|#\d+)",
        on_task(Tool.GET),
        "Show task 3",
    ),
    _row(
        rf"(?:search|find|look)(?: for)?(?: my| the| all)?(?: {_KIND})?(?: about| with| for| containing)?"
        r" (?P<words>.+?)",
        search,
    ),
    _row(
        rf"(?:show|list|display|view|see|get|give|tell|let me see|i want to see)\b.*"
        rf"\b(?:{_KIND}|list|everything|all|{_STATES})\b.*",
        list_tasks,
        "Show me all my tasks",
    ),
    _row(
        rf"(?:what|which|what's|do i|did i|have i|how many|is there|are there|is anything|anything)\b.*"
        rf"\b(?:{_KIND}|my list|my plate|{_STATES})\b.*",
        list_tasks,
        "What's pending?",
        "What have I completed?",
    ),
    _row(r"(?:what|which) (?:do|should|must|have) i\b.*", list_tasks),
    _row(rf"(?:list|(?:(?:{_PRESET}) )*(?:tasks?|to-?dos?|{_PRESET}))", list_tasks),
    # Create, in words that could mean something else and therefore come last.
    _row(
        r"i (?:really |also |still )?(?:need to|have to|want to|ought to|must|should) "
        r"(?:not forget to |remember (?:to )?|make sure to )?(?P<title>.+?)",
        create,
        "I need to remember to pay bills, high priority",
    ),
    _row(r"(?:remember|don't forget|do not forget)(?: to| that| about)? (?P<title>.+?)", create),
    _row(rf"(?:add|note|note down|write down) (?P<title>.+?){_ON_LIST}", create_each, "Add milk, bread and call mom"),
)
