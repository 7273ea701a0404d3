"""Conversations: listed, paged, renamed, deleted, and remembered by the model."""

from taskchat.conversations.listing import (
    ConversationRecord,
    MessageRecord,
    Page,
    delete,
    delete_all,
    get,
    list_page,
    messages_page,
    rename,
)
from taskchat.conversations.window import WindowMessage, estimated_tokens, load_window

__all__ = [
    "ConversationRecord",
    "MessageRecord",
    "Page",
    "WindowMessage",
    "delete",
    "delete_all",
    "estimated_tokens",
    "get",
    "list_page",
    "load_window",
    "messages_page",
    "rename",
]
