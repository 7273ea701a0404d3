"""Search in a person's conversations: in their titles and in the words of their messages.

No index helps here: row-level security lets PostgreSQL use an index only for operators that leak nothing, and those of
text search are not among them. So a search reads messages in order of the index, compares them here, and stops after a
fixed amount of work. The cursor tells where the next request goes on. Comparing in Python treats every message alike,
whatever release or database wrote it, and takes linear time for every text, unlike LIKE.
"""

import uuid
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from taskchat import cursors
from taskchat.conversations.cursors import Position
from taskchat.conversations.pages import IS_SHOWN, ConversationRecord, Page, by_activity
from taskchat.models import MESSAGES, ConversationKind
from taskchat.text import searchable

CONVERSATIONS_AT_ONCE = 25
MESSAGES_AT_ONCE = 20
"""Messages of one conversation in the first statement. Those of longer conversations follow, in bigger parts."""
MORE_MESSAGES_AT_ONCE = 500
MOST_MESSAGES = 5_000
MOST_CHARACTERS = 2_000_000
"""Limits of one request. It may exceed them by one statement."""
SEARCHED_CHARACTERS = 10_000
"""Beginning of a message that is searched. A person's message has at most 8,000 characters."""
SNIPPET_CHARACTERS = 160
_BEFORE = 50
_CUT = "…"


@dataclass(frozen=True, slots=True)
class FoundConversation:
    """A conversation with the words around the match."""

    conversation: ConversationRecord
    snippet: str


def search_page(
    connection: Connection,
    user_id: uuid.UUID,
    text: str,
    *,
    limit: int,
    cursor: str | None = None,
    kind: ConversationKind | None = None,
) -> Page[FoundConversation]:
    """List a person's conversations that contain a text, in any case and any Unicode form, newest activity first.

    A page may have fewer items than `limit`, and even none, while its cursor goes on: a request reads a limited number
    of messages.

    Raises:
        InvalidRequestError: the cursor does not belong to this search.
    """
    scope = f"conversations of {user_id}: {kind} with {text}"
    search = _Search(connection, searchable(text))
    found: list[FoundConversation] = []
    after, below = (None, 0) if cursor is None else _position(cursor, scope)
    begun = {} if after is None else {after.id - 1: below}
    while batch := _conversations(connection, user_id, kind, after):
        newest = search.newest_messages(batch, begun)
        for conversation in batch:
            if after is not None and len(found) == limit:
                return Page(found, _cursor(after, 0, scope))
            snippet, below = search.compare(conversation, newest.get(conversation.id, []))
            if below:
                # The next request begins with this conversation again, whose id is the first one below the next id.
                return Page(found, _cursor(Position(conversation.updated_at, conversation.id + 1), below, scope))
            if snippet is not None:
                found.append(FoundConversation(conversation, snippet))
            after = Position(conversation.updated_at, conversation.id)
        if after is not None and search.is_spent:
            return Page(found, _cursor(after, 0, scope))
    return Page(found, None)


@dataclass(frozen=True, slots=True)
class _Message:
    conversation_id: int
    id: int
    content: str


class _Search:
    """The comparisons of one request, and how much it has read for them."""

    def __init__(self, connection: Connection, needle: str) -> None:
        self._connection = connection
        self._needle = needle
        self._messages = 0
        self._characters = 0

    @property
    def is_spent(self) -> bool:
        """Tell whether the request has done its share of work."""
        return self._messages >= MOST_MESSAGES or self._characters >= MOST_CHARACTERS

    def newest_messages(
        self, batch: Sequence[ConversationRecord], begun: Mapping[int, int]
    ) -> Mapping[int, Sequence[_Message]]:
        """Return the newest messages of conversations whose titles do not match, by the id of the conversation.

        `begun` gives the id of the message that an earlier request read last, for a conversation that it left.
        """
        unmatched = [conversation.id for conversation in batch if not self._is_in(conversation.title or "")]
        limits = {conversation_id: begun.get(conversation_id) or None for conversation_id in unmatched}
        read = self._read(limits, MESSAGES_AT_ONCE)
        return {key: list(messages) for key, messages in groupby(read, attrgetter("conversation_id"))}

    def compare(self, conversation: ConversationRecord, newest: Sequence[_Message]) -> tuple[str | None, int]:
        """Return the words around a match, and the id of the last message read if the work ended before there was one.

        Both are empty if nothing matches.
        """
        if self._is_in(conversation.title or ""):
            return self._snippet(conversation.title or ""), 0
        part, at_once = newest, MESSAGES_AT_ONCE
        while True:
            for message in part:
                if self._is_in(message.content):
                    return self._snippet(message.content), 0
            if len(part) < at_once:
                return None, 0
            if self.is_spent:
                return None, part[-1].id
            at_once = MORE_MESSAGES_AT_ONCE
            part = self._read({conversation.id: part[-1].id}, at_once)

    def _is_in(self, text: str) -> bool:
        return self._needle in searchable(text)

    def _read(self, limits: Mapping[int, int | None], at_once: int) -> Sequence[_Message]:
        """Read the newest messages of each conversation, below an id, by one scan of the index for each of them."""
        if not limits:
            return []
        selects = [_newest(conversation_id, below, at_once) for conversation_id, below in limits.items()]
        rows = self._connection.execute(sa.union_all(*selects)).all()
        messages = [_Message(*row) for row in rows]
        self._messages += len(messages)
        self._characters += sum(len(message.content) for message in messages)
        return sorted(messages, key=lambda message: (message.conversation_id, -message.id))

    def _snippet(self, text: str) -> str:
        """Return the words around the first match in one line."""
        # Normalisation changes lengths, so the end of the match is the shortest beginning that contains it.
        end = bisect_left(range(len(text)), True, key=lambda length: self._is_in(text[:length]))
        start = max(0, end - len(self._needle) - _BEFORE)
        words = " ".join(text[start : start + SNIPPET_CHARACTERS].split())
        is_cut = start + SNIPPET_CHARACTERS < len(text)
        return f"{_CUT if start else ''}{words}{_CUT if is_cut else ''}"


def _conversations(
    connection: Connection, user_id: uuid.UUID, kind: ConversationKind | None, after: Position | None
) -> Sequence[ConversationRecord]:
    rows = connection.execute(by_activity(user_id, kind, after, CONVERSATIONS_AT_ONCE)).all()
    return [ConversationRecord(*row) for row in rows]


def _newest(conversation_id: int, below: int | None, at_once: int) -> sa.Select[Any]:
    # As in a page of messages, a range keeps PostgreSQL in the index.
    order = (MESSAGES.c.conversation_id, MESSAGES.c.id)
    is_below = order[0] <= conversation_id if below is None else sa.tuple_(*order) < sa.tuple_(conversation_id, below)
    return (
        sa.select(*order, sa.func.substr(MESSAGES.c.content, 1, SEARCHED_CHARACTERS))
        .where(order[0] >= conversation_id, is_below, IS_SHOWN)
        .order_by(*(column.desc() for column in order))
        .limit(at_once)
        .subquery()
        .select()
    )


def _cursor(after: Position, below: int, scope: str) -> str:
    return cursors.encode((cursors.microseconds(after.moment), after.id, below), scope)


def _position(cursor: str, scope: str) -> tuple[Position, int]:
    microseconds, conversation_id, below = cursors.decode(cursor, scope, 3)
    return Position(cursors.moment(microseconds), conversation_id), below
