"""The tables. Their names, columns and indexes are a contract; `migrations/` creates them."""

from taskchat.models.clock import SECONDS, utc_in, utc_now
from taskchat.models.columns import LARGEST_ID, SMALLEST_ID, TITLE_CHARACTERS
from taskchat.models.tables import (
    CONVERSATIONS,
    FEEDBACK,
    MESSAGES,
    TASKS,
    TURNS,
    USERS,
    Conversation,
    ConversationKind,
    Feedback,
    Message,
    Priority,
    Rating,
    Role,
    Task,
    Turn,
    TurnStatus,
    User,
)

__all__ = [
    "CONVERSATIONS",
    "FEEDBACK",
    "LARGEST_ID",
    "MESSAGES",
    "SECONDS",
    "SMALLEST_ID",
    "TASKS",
    "TITLE_CHARACTERS",
    "TURNS",
    "USERS",
    "Conversation",
    "ConversationKind",
    "Feedback",
    "Message",
    "Priority",
    "Rating",
    "Role",
    "Task",
    "Turn",
    "TurnStatus",
    "User",
    "utc_in",
    "utc_now",
]
