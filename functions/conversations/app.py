"""Routes of past conversations: list, read, rename, delete."""

from taskchat.cold_start import imports_done

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from taskchat import conversations
from taskchat.conversations import ConversationRecord, MessageRecord, Page
from taskchat.database import database
from taskchat.errors import NotFoundError
from taskchat.http import Body, CallerDep, Limit, PathId, Text, create_app, lambda_handler
from taskchat.http.openapi import COMMON_ERRORS, TOKEN, problems
from taskchat.models import TITLE_CHARACTERS, Role
from taskchat.snapshot import around_snapshot

app = create_app()

ON_ALL = problems(*COMMON_ERRORS)
ON_ONE = problems(*COMMON_ERRORS, NotFoundError)


class ConversationsQuery(Body):
    """A page of conversations: its size, and the cursor that the page before gave."""

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


class ConversationItem(BaseModel):
    """A conversation, without its messages."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str | None
    created_at: datetime
    updated_at: datetime


class MessageItem(BaseModel):
    """A message; `tool_calls` are the elements of the audit trail, null for a message without any."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    role: Role
    content: str
    tool_calls: Sequence[Mapping[str, Any]] | None
    created_at: datetime
    turn_id: uuid.UUID | None


class ConversationPage(BaseModel):
    """Conversations, and the cursor of the page after them; null on the last page."""

    items: Sequence[ConversationItem]
    next_cursor: str | None


class MessagePage(BaseModel):
    """Messages, and the cursor of the page of older ones; null on the last page."""

    items: Sequence[MessageItem]
    next_cursor: str | None


# Coroutines may block here: an instance serves one invocation at a time, and a thread would only cost time.
@app.get("/conversations", response_model=ConversationPage, responses=ON_ALL, openapi_extra=TOKEN)
async def get_conversations(
    *, query: Annotated[ConversationsQuery, Query()], caller: CallerDep
) -> Page[ConversationRecord]:
    """List conversations, newest activity first."""
    return database().transaction(
        caller.user_id,
        lambda connection: conversations.list_page(connection, caller.user_id, limit=query.limit, cursor=query.cursor),
        seconds_left=caller.seconds_left,
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


around_snapshot()
handler = lambda_handler(app)
imports_done()
