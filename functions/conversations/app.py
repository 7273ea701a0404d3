"""GET /conversations, and what hangs below it."""

from taskchat.cold_start import imports_done

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from taskchat import conversations
from taskchat.conversations import ConversationRecord, MessageRecord, Page
from taskchat.database import database
from taskchat.http import Body, Id, PrincipalDep, Text, create_app, lambda_handler
from taskchat.models import TITLE_CHARACTERS, Role
from taskchat.snapshot import around_snapshot

app = create_app()


def _decimal(text: str) -> int:
    """Read a number in its one usual form; Python would also take `+7`, `7_0` and digits of other scripts."""
    if not re.fullmatch("0|[1-9][0-9]{0,18}", text):
        raise ValueError("give a whole number in digits")
    return int(text)


ConversationId = Annotated[Id, BeforeValidator(_decimal), Path(alias="id")]
Limit = Annotated[int, Field(ge=1, le=100), BeforeValidator(_decimal)]


class ConversationsQuery(Body):
    """Which page of conversations."""

    limit: Limit = 20
    cursor: str | None = None


class MessagesQuery(Body):
    """Which page of messages."""

    limit: Limit = 50
    cursor: str | None = None


class RenameBody(Body):
    """What a conversation is to be called."""

    title: Annotated[Text, Field(max_length=TITLE_CHARACTERS)]


class ConversationItem(BaseModel):
    """A conversation, as a person sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str | None
    created_at: datetime
    updated_at: datetime


class MessageItem(BaseModel):
    """A message, and everything that was done for it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    role: Role
    content: str
    tool_calls: Sequence[Mapping[str, Any]] | None
    created_at: datetime


class ConversationPage(BaseModel):
    """Some conversations, and the cursor of the next ones."""

    items: Sequence[ConversationItem]
    next_cursor: str | None


class MessagePage(BaseModel):
    """Some messages, and the cursor of those before them."""

    items: Sequence[MessageItem]
    next_cursor: str | None


# Coroutines that block: an instance serves one invocation at a time, so a thread would be nothing but its cost.
@app.get("/conversations", response_model=ConversationPage)
async def get_conversations(
    *, query: Annotated[ConversationsQuery, Query()], principal: PrincipalDep
) -> Page[ConversationRecord]:
    """List conversations, the newest activity first."""
    return database().transaction(
        lambda connection: conversations.list_page(
            connection, principal.user_id, limit=query.limit, cursor=query.cursor
        )
    )


@app.delete("/conversations", status_code=204)
async def delete_conversations(*, principal: PrincipalDep) -> None:
    """Delete all conversations, with everything in them."""
    database().transaction(lambda connection: conversations.delete_all(connection, principal.user_id))


@app.get("/conversations/{id}", response_model=ConversationItem)
async def get_conversation(*, conversation_id: ConversationId, principal: PrincipalDep) -> ConversationRecord:
    """Return one conversation."""
    return database().transaction(lambda connection: conversations.get(connection, principal.user_id, conversation_id))


@app.get("/conversations/{id}/messages", response_model=MessagePage)
async def get_messages(
    *, conversation_id: ConversationId, query: Annotated[MessagesQuery, Query()], principal: PrincipalDep
) -> Page[MessageRecord]:
    """List messages, the newest page first, the oldest message first inside a page."""
    return database().transaction(
        lambda connection: conversations.messages_page(
            connection, principal.user_id, conversation_id, limit=query.limit, cursor=query.cursor
        )
    )


@app.patch("/conversations/{id}", response_model=ConversationItem)
async def patch_conversation(
    *, conversation_id: ConversationId, body: RenameBody, principal: PrincipalDep
) -> ConversationRecord:
    """Rename a conversation."""
    return database().transaction(
        lambda connection: conversations.rename(connection, principal.user_id, conversation_id, body.title)
    )


@app.delete("/conversations/{id}", status_code=204)
async def delete_conversation(*, conversation_id: ConversationId, principal: PrincipalDep) -> None:
    """Delete a conversation, with everything in it."""
    database().transaction(lambda connection: conversations.delete(connection, principal.user_id, conversation_id))


around_snapshot()
handler = lambda_handler(app)
imports_done()
