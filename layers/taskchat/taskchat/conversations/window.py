"""The window of history that a model reads.

Providers charge a fraction for a prompt's beginning that they have seen before, so the window's start must not move
with every turn. The rule has two sentences:

1. A conversation that fits into the limits is read from its beginning.
2. Otherwise the candidates are the messages of the person from which the window uses a quarter to all of a limit. The
   window starts at the candidate whose id is the smallest with its binary digits reversed.

An id such as 4096 comes before all its neighbours, so it stays the start for many turns, and the next start is far
away. The rule depends on the stored messages only, so all instances choose the same start.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from taskchat.conversations.bounded import cut_off_calls
from taskchat.conversations.exchanges import WindowMessage, shortened
from taskchat.models import CONVERSATIONS, MESSAGES, TURNS, Role, TurnStatus

EXCHANGE_SHARE = 4
"""One exchange may use a fourth of the tokens, so that a long list does not displace the whole history."""
STEP_CHARACTERS = 40_000
"""Characters to load of one message's tool calls. A list of a hundred tasks with long titles fits."""
CONTEXT_CHARACTERS = 20_000
"""A longer `model_context` is not loaded. It holds a provider's reasoning, which later turns do not need."""
LOADED_CHARACTERS = 800_000
"""Characters to load of a window, apart from the person's messages. A turn of eight long steps fits."""
CHARACTERS_PER_TOKEN = 4
UNFINISHED_TURNS = 10
"""The newest turns without a reply whose words stay in the window whatever their length."""
LEAST_ROWS = 50
"""Smallest number of rows to load, so that a small limit does not hide the person's messages."""
_UNFINISHED = (TurnStatus.QUEUED, TurnStatus.RUNNING, TurnStatus.INTERRUPTED, TurnStatus.ABANDONED)
_RECORD_STATE = "record"
"""The state of a finished turn without a model: a client's call of a tool (`taskchat.audit.client_calls`)."""
_FAILED_MESSAGE = "(The message that stood here could not be answered.)"
_RECORD = "(Written by the system, not by the person. Another program's record, which is data: {})"
_RECORD_CHARACTERS = 200
_FOR_UNDO = ("before", "after", "changes")


def load_window(
    connection: Connection,
    user_id: uuid.UUID,
    conversation_id: int,
    *,
    messages: int,
    tokens: int,
    before_turn: uuid.UUID,
) -> list[WindowMessage]:
    """Return the newest messages of a person's conversation, oldest first, within both limits.

    The window starts at a message of the person. Results of tools are shortened before an exchange is left out. The
    person's words of the newest turns without a reply stay, whatever the limits say. Of a failed turn the person's
    words are left out, because a provider may have refused the request for them. Messages of the turn `before_turn`
    are left out. The window of somebody else's conversation is empty.
    """
    limit = max(messages, LEAST_ROWS) + 1
    values = {
        "user_id": user_id,
        "conversation_id": conversation_id,
        "before_turn": before_turn,
        "rows": limit,
        "characters": LOADED_CHARACTERS + CHARACTERS_PER_TOKEN * tokens,
    }
    rows = connection.execute(_NEWEST_ROWS, values).all()
    exchanges = [
        exchange
        for rows_of_one in _exchanges(reversed(rows))
        if (exchange := _exchange(rows_of_one, tokens // EXCHANGE_SHARE)) is not None
    ]
    is_whole = len(rows) < limit and all(row.is_loaded for row in rows)
    start = _start(exchanges, messages, tokens, is_whole=is_whole)
    return [message for exchange in _with_unfinished(exchanges, start, tokens) for message in exchange.messages]


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A message of the person, with all that answered it; `id` is the first message's."""

    id: int
    messages: list[WindowMessage]
    is_unfinished: bool
    is_complete: bool

    @property
    def tokens(self) -> int:
        return sum(message.tokens for message in self.messages)


def _newest_rows() -> sa.Select[Any]:
    """Return a SELECT of the newest rows, newest first, with texts whose length is bounded in SQL.

    The person's words always come. All else comes until the characters of the newer rows reach the limit.
    """
    conversation_id = sa.bindparam("conversation_id", type_=MESSAGES.c.conversation_id.type)
    is_own = sa.and_(CONVERSATIONS.c.id == conversation_id, CONVERSATIONS.c.user_id == sa.bindparam("user_id"))
    calls = sa.func.substr(sa.cast(MESSAGES.c.tool_calls, sa.Text), 1, STEP_CHARACTERS)
    context = sa.case(
        (sa.func.length(sa.cast(MESSAGES.c.model_context, sa.Text)) <= CONTEXT_CHARACTERS, MESSAGES.c.model_context)
    )
    is_record = sa.and_(TURNS.c.status == TurnStatus.FINISHED, TURNS.c.model.is_(None))
    state = sa.case((is_record, _RECORD_STATE), else_=sa.cast(TURNS.c.status, sa.Text))
    newest = (
        sa.select(
            MESSAGES.c.id,
            MESSAGES.c.conversation_id,
            MESSAGES.c.role,
            MESSAGES.c.content,
            calls.label("tool_calls"),
            context.label("model_context"),
            # A subquery instead of a join, so that the planner has nothing to sort or to hash.
            sa.select(state).where(TURNS.c.id == MESSAGES.c.turn_id).scalar_subquery().label("state"),
        )
        .where(
            # Ids grow in the order of writing, whatever a clock does. A range instead of equality keeps PostgreSQL in
            # the index, as in `pages.list_page`.
            MESSAGES.c.conversation_id >= conversation_id,
            MESSAGES.c.conversation_id <= conversation_id,
            sa.exists().where(is_own),
            MESSAGES.c.turn_id.is_distinct_from(sa.bindparam("before_turn", type_=MESSAGES.c.turn_id.type)),
        )
        .order_by(MESSAGES.c.conversation_id.desc(), MESSAGES.c.id.desc())
        .limit(sa.bindparam("rows", type_=sa.Integer))
        .subquery("newest")
    )
    texts = (newest.c.content, newest.c.tool_calls, sa.cast(newest.c.model_context, sa.Text))
    size = sum((sa.func.coalesce(sa.func.length(text), 0) for text in texts), start=sa.literal(0))
    order = (newest.c.conversation_id.desc(), newest.c.id.desc())
    sized = sa.select(newest, (sa.func.sum(size).over(order_by=order) - size).label("newer_characters")).subquery()
    is_loaded = sized.c.newer_characters < sa.bindparam("characters", type_=sa.BigInteger)
    return sa.select(
        sized.c.id,
        sized.c.role,
        sa.case((sa.or_(is_loaded, sized.c.role == Role.USER), sized.c.content), else_="").label("content"),
        sa.case((is_loaded, sized.c.tool_calls)).label("tool_calls"),
        sa.case((sa.or_(is_loaded, sized.c.role == Role.USER), sized.c.model_context)).label("model_context"),
        sized.c.state,
        is_loaded.label("is_loaded"),
    ).order_by(sized.c.conversation_id.desc(), sized.c.id.desc())


_NEWEST_ROWS = _newest_rows()
"""Built once, since building takes a tenth of a turn's own work."""


def _exchanges(oldest_first: Iterable[Row[Any]]) -> list[list[Row[Any]]]:
    """Group rows by the message of the person that they answer; rows before the first such message are dropped."""
    exchanges: list[list[Row[Any]]] = []
    for row in oldest_first:
        if row.role is Role.USER:
            exchanges.append([row])
        elif exchanges:
            exchanges[-1].append(row)
    return exchanges


def _exchange(rows: Sequence[Row[Any]], limit_tokens: int) -> _Exchange | None:
    """Return the exchange for the model, or None if the model must not read any of it."""
    person, *answers = rows
    if person.state == TurnStatus.REPLACED:
        return None
    is_unfinished = person.state in _UNFINISHED
    loaded = [row for row in answers if row.is_loaded]
    content = person.content
    if person.state == TurnStatus.FAILED:
        if not loaded:
            return None
        content = _FAILED_MESSAGE
    elif person.state == _RECORD_STATE:
        content = _RECORD.format(json.dumps(content[:_RECORD_CHARACTERS], ensure_ascii=False))
    said = [WindowMessage(Role.USER, content, None, person.model_context)]
    said += [WindowMessage(row.role, row.content, _tool_calls(row.tool_calls), row.model_context) for row in loaded]
    return _Exchange(
        id=person.id,
        messages=shortened(said, limit_tokens, keep_words=is_unfinished),
        is_unfinished=is_unfinished,
        is_complete=len(loaded) == len(answers),
    )


def _start(exchanges: Sequence[_Exchange], messages: int, tokens: int, *, is_whole: bool) -> int:
    """Return the index of the exchange at which the window starts, by the rule above."""
    candidates: list[tuple[int, float]] = []
    used_messages = used_tokens = 0
    for index in reversed(range(len(exchanges))):
        exchange = exchanges[index]
        used_messages += len(exchange.messages)
        used_tokens += exchange.tokens
        if used_messages > messages or used_tokens > tokens or not exchange.is_complete:
            break
        candidates.append((index, max(used_messages / messages, used_tokens / tokens)))
    else:
        if is_whole:
            return 0
    if not candidates:
        return len(exchanges)
    far = [index for index, share in candidates if share >= 0.25] or [candidates[-1][0]]
    return min(far, key=lambda index: _digits_reversed(exchanges[index].id))


def _digits_reversed(number: int) -> int:
    return int(f"{number:063b}"[::-1], 2)


def _with_unfinished(exchanges: Sequence[_Exchange], start: int, tokens: int) -> list[_Exchange]:
    """Return the exchanges from the start on, or from the first of the newest unfinished ones if that is earlier.

    Above the limit, unfinished exchanges lose all but the person's words, the oldest first.
    """
    unfinished = len(list(takewhile(lambda exchange: exchange.is_unfinished, reversed(exchanges))))
    start = min(start, len(exchanges) - min(unfinished, UNFINISHED_TURNS))
    window = list(exchanges[start:])
    excess = sum(exchange.tokens for exchange in window) - tokens
    for index, exchange in enumerate(window):
        if excess <= 0:
            break
        words = replace(exchange, messages=exchange.messages[:1])
        excess -= exchange.tokens - words.tokens
        window[index] = words
    return window


def _tool_calls(text: str | None) -> list[dict[str, Any]] | None:
    """Read tool calls from JSON that may have been cut off."""
    if text is None:
        return None
    try:
        calls: list[dict[str, Any]] = json.loads(text)
    except ValueError:
        return _without_changes(cut_off_calls(text))
    return _without_changes(calls)


def _without_changes(calls: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Return calls without the rows before and after them, which the model does not see."""
    return calls and [{key: call[key] for key in call if key not in _FOR_UNDO} for call in calls]
