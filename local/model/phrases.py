"""The parts of a sentence: politeness, quotes, priorities, titles, and the task that is meant."""

import re
from typing import Any

from local.model.clock import Clock, take_when
from local.model.plans import Ids, Mentioned, Target, Words

QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"
"""Quotation marks around a title, typographic ones included."""

PRIORITIES = {
    "low": "low",
    "normal": "normal",
    "medium": "normal",
    "high": "high",
    "important": "high",
    "urgent": "urgent",
    "critical": "urgent",
    "top": "urgent",
    "highest": "urgent",
}
PRIORITY = "|".join(PRIORITIES)

_POLITE_START = re.compile(
    r"^(?:(?:hi|hey|hello|ok|okay|so|and|then|now|also)\b[,!.]?\s+(?!there\W*$)(?:there\b[,!.]?\s+)?|please\b,?\s+|kindly\s+"
    r"|(?:can|could|would|will)\s+you\s+(?:please\s+)?|i(?:'d|\s+would)\s+like\s+(?:you\s+)?to\s+|let's\s+)",
    re.IGNORECASE,
)
_POLITE_END = re.compile(r",?\s+(?:please|thanks|thank you|for me)[.!?]*$", re.IGNORECASE)
_QUOTED = re.compile(rf"^[{QUOTES}](?P<inside>.+?)[{QUOTES}](?=$|[\s.,!?])(?P<rest>.*)$", re.DOTALL)
_PRIORITY_FORMS = (
    re.compile(r"^(?P<word>urgent|important|critical)(?:ly)?\s*[:,!-]\s*", re.IGNORECASE),
    re.compile(rf"^(?P<word>{PRIORITY})[- ]priority\s*[:,!-]\s*", re.IGNORECASE),
    re.compile(
        rf"[,;]?\s*\(?\b(?:(?:with|at|as|it's|it is|that's)\s+)?(?:an?\s+)?(?P<word>{PRIORITY})[- ]priority\b\)?[.!]*$",
        re.IGNORECASE,
    ),
    re.compile(
        rf"[,;]?\s*\(?\b(?:with\s+)?priority\s*[:=]?\s*(?:is\s+|to\s+)?(?P<word>{PRIORITY})\b\)?[.!]*$",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?:[,;]\s*|\s+[(-]\s*)(?:it's\s+|it is\s+|this is\s+)?(?P<word>urgent|important|critical)\)?[.!]*$",
        re.IGNORECASE,
    ),
)
_NUMBER = r"(?:(?:tasks?|to-?dos?|items?|numbers?|no\.?) ?)*(?:# ?)?\d{1,20}"
_NUMBERED = re.compile(rf"(?:the |my )?{_NUMBER}(?: ?(?:, and|,|and|&) ?{_NUMBER})*", re.IGNORECASE)
_PRONOUN = re.compile(r"(?:it|that|this|that one|this one|(?:that|this|the last|the same) (?:task|one))", re.IGNORECASE)
_BETWEEN = re.compile(r", and |[,;] ?| and ", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:(?:the|my|a|an|that|this)\s+)?(?:(?:task|to-?do|reminder|item)\s+)?", re.IGNORECASE)
_LEADING = re.compile(r"^(?:(?:called|named|titled|about|to|for|of|with)\s+)+", re.IGNORECASE)
_NOUN = re.compile(r"(?:^|\s+)(?:tasks?|to-?dos?|reminders?|items?|one)$", re.IGNORECASE)


def plain(message: str) -> str:
    """Return a message in one line, without polite words."""
    text = " ".join(message.replace("\u2019", "'").split())
    while (polite := _POLITE_START.sub("", text, count=1)) != text:
        text = polite
    return _POLITE_END.sub("", text).strip()


def title(text: str) -> str:
    """Return a title as a person would write it: no quotes, no full stop, a capital letter."""
    quoted = _QUOTED.match(text.strip())
    if quoted and not quoted["rest"].strip(" .,!?"):
        return quoted["inside"].strip()
    bare = text.strip(f" ,;:{QUOTES}").rstrip(".!").rstrip(f" {QUOTES}")
    return bare[:1].upper() + bare[1:]


def new_task(text: str, clock: Clock, priority: str | None = None) -> dict[str, Any]:
    """Read the arguments of `create_task`: the title, and a priority and a due date where the text has them.

    Words between quotes are a title as it stands: a date inside them is not a due date.
    """
    quoted = _QUOTED.match(text.strip())
    details = quoted["rest"] if quoted else text
    details, found_priority = _take_priority(details)
    details, due_at = take_when(details.strip(), clock)
    # "tomorrow, high priority" and "high priority, tomorrow" are one and the same wish.
    details, later_priority = _take_priority(details) if found_priority is None else (details, found_priority)
    arguments: dict[str, Any] = {"title": quoted["inside"].strip() if quoted else title(_without_to(details))}
    chosen = priority or later_priority
    if chosen:
        arguments["priority"] = PRIORITIES[chosen.lower()]
    if due_at:
        arguments["due_at"] = due_at.isoformat()
    return arguments


def new_tasks(text: str, clock: Clock, priority: str | None = None) -> list[dict[str, Any]]:
    """Read the arguments of `create_task` for each of several tasks, as in "milk, eggs and bread"."""
    return [new_task(part, clock, priority) for part in _BETWEEN.split(text) if part.strip()]


def read_priority(text: str) -> str | None:
    """Return the priority that a text consists of, or nothing when it says something else."""
    found = re.fullmatch(
        rf"(?:an?\s+)?(?:priority\s+)?(?P<word>{PRIORITY})(?:[- ]priority)?", text.strip(" .!?"), re.IGNORECASE
    )
    return PRIORITIES[found["word"].lower()] if found else None


def target(text: str) -> Target | None:
    """Return the task that the words mean, or None."""
    text = text.strip(" .,!?")
    if _NUMBERED.fullmatch(text):
        return Ids(tuple(dict.fromkeys(int(number) for number in re.findall(r"\d+", text))))
    if _PRONOUN.fullmatch(text):
        return Mentioned()
    words = _NOUN.sub("", _LEADING.sub("", _ARTICLE.sub("", text))).strip(f" {QUOTES}")
    return Words(words) if words else None


def _take_priority(text: str) -> tuple[str, str | None]:
    for form in _PRIORITY_FORMS:
        found = form.search(text)
        if found:
            return f"{text[: found.start()]} {text[found.end() :]}".strip(" ,"), found["word"]
    return text, None


def _without_to(text: str) -> str:
    return re.sub(r"^(?:to|that i (?:need|have) to|that|about)\s+", "", text.strip(), flags=re.IGNORECASE)
