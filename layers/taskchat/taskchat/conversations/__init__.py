"""Conversations: pages, search, changes, ratings of replies, and the window of history that the model reads."""

from taskchat.conversations.bounded import load_bounded
from taskchat.conversations.changes import cancel_turns, create, delete, delete_all, lock_person, rename
from taskchat.conversations.exchanges import WindowMessage
from taskchat.conversations.feedback import rate, unrate
from taskchat.conversations.pages import ConversationRecord, MessageRecord, Page, get, list_page, messages_page
from taskchat.conversations.search import FoundConversation, search_page
from taskchat.conversations.window import load_window

__all__ = [
    "ConversationRecord",
    "FoundConversation",
    "MessageRecord",
    "Page",
    "WindowMessage",
    "cancel_turns",
    "create",
    "delete",
    "delete_all",
    "get",
    "list_page",
    "load_bounded",
    "load_window",
    "lock_person",
    "messages_page",
    "rate",
    "rename",
    "search_page",
    "unrate",
]
