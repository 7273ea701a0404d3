"""Routes of past conversations, of ratings of replies, and of a person's usage."""

from taskchat.cold_start import imports_done

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from functions.conversations import account
from taskchat import conversations, usage
from taskchat.conversations import ConversationRecord, MessageRecord, Page
from taskchat.database import database
from taskchat.errors import NotFoundError
from taskchat.http import Body, CallerDep, Limit, PathId, Text, create_app, lambda_handler
from taskchat.http.openapi import COMMON_ERRORS, TOKEN, problems
from taskchat.models import TITLE_CHARACTERS, ConversationKind, Rating, Role
from taskchat.settings import settings
from taskchat.snapshot import around_snapshot
from taskchat.usage import UsageRecord

SEARCH_CHARACTERS = 100
COMMENT_CHARACTERS = 1_000

app = create_app()

ON_ALL = problems(*COMMON_ERRORS)
ON_ONE = problems(*COMMON_ERRORS, NotFoundError)


class ConversationsQuery(Body):
    """A page of conversations: the filters, its size, and the cursor that the page before gave."""

    kind: ConversationKind | None = None
    text: (
        Annotated[
            Text,
            Field(
                max_length=SEARCH_CHARACTERS,
                description="Only conversations whose title or messages contain this text, in any case. "
                "A page may then be short, or empty, although its cursor leads on.",
            ),
        ]
        | None
    ) = None
    limit: Limit = 20
    cursor: str | None = None


class MessagesQuery(Body):
    """A page of messages: its size, the cursor that the page before gave, and whether replaced turns are shown, too."""

    limit: Limit = 50
    cursor: str | None = None
    replaced: bool = False


class RenameBody(Body):
    """A conversation's new title."""

    title: Annotated[Text, Field(max_length=TITLE_CHARACTERS)]


class FeedbackBody(Body):
    """A person's opinion of a reply."""

    rating: Rating
    comment: Annotated[Text, Field(max_length=COMMENT_CHARACTERS)] | None = None


class ConversationItem(BaseModel):
    """A conversation, without its messages; `snippet` has the words around the text of a search."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str | None
    kind: ConversationKind
    created_at: datetime
    updated_at: datetime
    snippet: str | None = None


class FeedbackItem(BaseModel):
    """A person's opinion of a reply."""

    model_config = ConfigDict(from_attributes=True)

    rating: Rating
    comment: str | None


class MessageItem(BaseModel):
    """A message. `tool_calls` are the elements of the audit trail, and null for a message without any."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    role: Role
    content: str
    tool_calls: Sequence[Mapping[str, Any]] | None
    created_at: datetime
    turn_id: uuid.UUID | None
    feedback: FeedbackItem | None


class ConversationPage(BaseModel):
    """Conversations, and the cursor of the page after them; null on the last page."""

    items: Sequence[ConversationItem]
    next_cursor: str | None


class MessagePage(BaseModel):
    """Messages, and the cursor of the page of older ones; null on the last page."""

    items: Sequence[MessageItem]
    next_cursor: str | None


class LimitsItem(BaseModel):
    """The most that the caller may use."""

    model_config = ConfigDict(from_attributes=True)

    tokens_per_day: int
    turns_per_minute: int
    turns_in_flight: int


class UsageAnswer(BaseModel):
    """Turns and tokens of the period, which is a day in UTC. `tokens` is the sum that counts: input and output."""

    model_config = ConfigDict(from_attributes=True)

    period_started_at: datetime
    resets_at: datetime
    turns: int
    tokens: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    turns_in_minute: int
    turns_in_flight: int
    limits: LimitsItem


# Coroutines may block here: an instance serves one invocation at a time, and a thread would only cost time.
@app.get("/conversations", responses=ON_ALL, openapi_extra=TOKEN)
async def get_conversations(*, query: Annotated[ConversationsQuery, Query()], caller: CallerDep) -> ConversationPage:
    """List conversations, newest activity first, or those that contain a text."""
    return database().transaction(
        caller.user_id, lambda connection: _page(connection, caller.user_id, query), seconds_left=caller.seconds_left
    )


@app.delete("/conversations", status_code=204, responses=ON_ALL, openapi_extra=TOKEN)
async def delete_conversations(*, caller: CallerDep) -> None:
    """Delete all conversations and their messages."""
    database().transaction(
        caller.user_id,
        lambda connection: conversations.delete_all(connection, caller.user_id),
        seconds_left=caller.seconds_left,
    )


@app.get("/conversations/{id}", response_model=ConversationItem, responses=ON_ONE, openapi_extra=TOKEN)
async def get_conversation(*, conversation_id: PathId, caller: CallerDep) -> ConversationRecord:
    """Return one conversation."""
    return database().transaction(
        caller.user_id,
        lambda connection: conversations.get(connection, caller.user_id, conversation_id),
        seconds_left=caller.seconds_left,
    )


@app.get("/conversations/{id}/messages", response_model=MessagePage, responses=ON_ONE, openapi_extra=TOKEN)
async def get_messages(
    *, conversation_id: PathId, query: Annotated[MessagesQuery, Query()], caller: CallerDep
) -> Page[MessageRecord]:
    """List messages, newest page first, oldest message first within a page."""
    return database().transaction(
        caller.user_id,
        lambda connection: conversations.messages_page(
            connection,
            caller.user_id,
            conversation_id,
            limit=query.limit,
            cursor=query.cursor,
            with_replaced=query.replaced,
        ),
        seconds_left=caller.seconds_left,
    )


@app.patch("/conversations/{id}", response_model=ConversationItem, responses=ON_ONE, openapi_extra=TOKEN)
async def patch_conversation(*, conversation_id: PathId, body: RenameBody, caller: CallerDep) -> ConversationRecord:
    """Rename a conversation."""
    return database().transaction(
        caller.user_id,
        lambda connection: conversations.rename(connection, caller.user_id, conversation_id, body.title),
        seconds_left=caller.seconds_left,
    )


@app.delete("/conversations/{id}", status_code=204, responses=ON_ONE, openapi_extra=TOKEN)
async def delete_conversation(*, conversation_id: PathId, caller: CallerDep) -> None:
    """Delete a conversation and its messages."""
    database().transaction(
        caller.user_id,
        lambda connection: conversations.delete(connection, caller.user_id, conversation_id),
        seconds_left=caller.seconds_left,
    )


@app.put("/messages/{id}/feedback", status_code=204, responses=ON_ONE, openapi_extra=TOKEN)
async def put_feedback(*, message_id: PathId, body: FeedbackBody, caller: CallerDep) -> None:
    """Rate a reply of the assistant, in place of an earlier rating."""
    database().transaction(
        caller.user_id,
        lambda connection: conversations.rate(connection, caller.user_id, message_id, body.rating, body.comment),
        seconds_left=caller.seconds_left,
    )


@app.delete("/messages/{id}/feedback", status_code=204, responses=ON_ONE, openapi_extra=TOKEN)
async def delete_feedback(*, message_id: PathId, caller: CallerDep) -> None:
    """Remove the rating of a reply, if it has one."""
    database().transaction(
        caller.user_id,
        lambda connection: conversations.unrate(connection, caller.user_id, message_id),
        seconds_left=caller.seconds_left,
    )


@app.get("/usage", response_model=UsageAnswer, responses=ON_ALL, openapi_extra=TOKEN)
async def get_usage(*, caller: CallerDep) -> UsageRecord:
    """Return the caller's usage of today, in UTC, beside the limits."""
    return database().transaction(
        caller.user_id,
        lambda connection: usage.usage(connection, caller.user_id, settings().limits),
        seconds_left=caller.seconds_left,
    )


def _page(connection: Connection, user_id: uuid.UUID, query: ConversationsQuery) -> ConversationPage:
    if query.text is None:
        page = conversations.list_page(connection, user_id, limit=query.limit, cursor=query.cursor, kind=query.kind)
        return ConversationPage(
            items=[ConversationItem.model_validate(record) for record in page.items], next_cursor=page.next_cursor
        )
    matches = conversations.search_page(
        connection, user_id, query.text, limit=query.limit, cursor=query.cursor, kind=query.kind
    )
    items = [
        ConversationItem.model_validate({**asdict(match.conversation), "snippet": match.snippet})
        for match in matches.items
    ]
    return ConversationPage(items=items, next_cursor=matches.next_cursor)


app.include_router(account.router)

around_snapshot()
handler = lambda_handler(app)
imports_done()
