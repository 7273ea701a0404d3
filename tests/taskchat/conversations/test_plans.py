"""Which index each read walks, among enough rows that PostgreSQL would not rather read the whole table."""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from taskchat import conversations
from taskchat.conversations import search
from taskchat.conversations.cursors import Position, encode
from taskchat.database import Database
from taskchat.models import ConversationKind
from tests.support.owner import as_owner
from tests.support.statements import indexes, nodes, plan, recorded

pytestmark = pytest.mark.parametrize("backend", ["postgres"], indirect=True)

USER = uuid.UUID(int=1)
CONVERSATIONS = 2_000
MESSAGES = 20_000
TURNS = 2_000
MIDDLE = Position(datetime(2026, 1, 1, 2, tzinfo=UTC), 1_000)
SEED = f"""
INSERT INTO users (id, subject) VALUES ('{USER}', 'one'), ('{uuid.UUID(int=2)}', 'two');
INSERT INTO conversations (user_id, updated_at)
SELECT CASE WHEN number <= {CONVERSATIONS // 2} THEN '{USER}'::uuid ELSE '{uuid.UUID(int=2)}'::uuid END,
       '2026-01-01'::timestamptz + number * interval '1 minute'
FROM generate_series(1, {CONVERSATIONS}) AS number;
INSERT INTO turns (id, user_id, conversation_id, idempotency_key, request_hash, status, attempt, lease_expires_at)
SELECT md5(number::text)::uuid, '{USER}', 2, number, '', 'finished', 1, '2026-01-01'
FROM generate_series(1, {TURNS}) AS number;
INSERT INTO messages (conversation_id, turn_id, role, content, created_at)
SELECT CASE number % 2 WHEN 0 THEN 2 ELSE 1 + number % {CONVERSATIONS} END, md5((number % {TURNS} + 1)::text)::uuid,
       'user', 'words', '2026-01-01'::timestamptz + number * interval '1 second'
FROM generate_series(1, {MESSAGES}) AS number;
INSERT INTO feedback (message_id, user_id, rating) SELECT id, '{USER}', 'up' FROM messages WHERE id % 4 = 0;
ANALYZE;
"""


@pytest.fixture
def seeded(database: Database) -> Database:
    """Give one conversation half of all messages, and somebody long gone half of all conversations."""
    as_owner(database, lambda connection: connection.execute(text(SEED)))
    return database


def list_cursor(kind: str = "") -> str:
    return encode(MIDDLE, f"conversations of {USER}{kind}")


def message_cursor() -> str:
    return encode(MIDDLE, "messages of 2")


NO_TURN = uuid.UUID(int=0)
READS: dict[str, tuple[Callable[[Connection], Any], str]] = {
    "the first page of conversations": (
        lambda connection: conversations.list_page(connection, USER, limit=20),
        "ix_conversations_user_id_updated_at_id",
    ),
    "a later page of conversations": (
        lambda connection: conversations.list_page(connection, USER, limit=20, cursor=list_cursor()),
        "ix_conversations_user_id_updated_at_id",
    ),
    "the first page of a kind": (
        lambda connection: conversations.list_page(connection, USER, limit=20, kind=ConversationKind.CLIENT),
        "ix_conversations_user_id_kind_updated_at_id",
    ),
    "a later page of a kind": (
        lambda connection: conversations.list_page(
            connection, USER, limit=20, kind=ConversationKind.CHAT, cursor=list_cursor(": chat")
        ),
        "ix_conversations_user_id_kind_updated_at_id",
    ),
    "the newest messages": (
        lambda connection: conversations.messages_page(connection, USER, 2, limit=50),
        "ix_messages_conversation_id_id",
    ),
    "older messages": (
        lambda connection: conversations.messages_page(connection, USER, 2, limit=50, cursor=message_cursor()),
        "ix_messages_conversation_id_id",
    ),
    "the window of a turn": (
        lambda connection: conversations.load_window(
            connection, USER, 2, messages=50, tokens=8_000, before_turn=uuid.UUID(int=3)
        ),
        "ix_messages_conversation_id_id",
    ),
}


@pytest.mark.parametrize("read", READS)
def test_a_read_walks_its_index_and_sorts_no_more_than_a_page(seeded: Database, read: str) -> None:
    work, index = READS[read]
    with recorded(seeded.engine()) as statements:
        seeded.transaction(USER, work)

    [_begin, statement, _commit] = statements
    root = seeded.transaction(USER, lambda connection: plan(connection, statement))

    assert_walks(root, index)


def test_a_search_walks_indexes_and_reads_a_bounded_number(seeded: Database) -> None:
    newest = text("UPDATE conversations SET updated_at = '2027-01-01' WHERE id = 2")
    seeded.transaction(USER, lambda connection: connection.execute(newest))
    with recorded(seeded.engine()) as statements:
        seeded.transaction(USER, lambda connection: conversations.search_page(connection, USER, "needle", limit=20))

    [_begin, listed, beginnings, *parts, _commit] = statements
    of_list, of_beginnings, *of_parts = (
        seeded.transaction(USER, partial(plan, statement=statement)) for statement in (listed, beginnings, *parts)
    )
    assert_walks(of_list, "ix_conversations_user_id_updated_at_id")
    # A short conversation may be read as a whole and sorted.
    assert "Seq Scan" not in {node["Node Type"] for node in nodes(of_beginnings)}
    assert len(of_parts) == search.MOST_MESSAGES / search.MORE_MESSAGES_AT_ONCE
    for root in of_parts:
        assert_walks(root, "ix_messages_conversation_id_id")


def assert_walks(root: Mapping[str, Any], index: str) -> None:
    assert index in indexes(root)
    # A hashed subplan of a policy reads all conversations of a person.
    assert "hashed" not in str(root)
    assert {node["Node Type"] for node in nodes(root)} & {"Seq Scan", "Sort", "Bitmap Heap Scan"} == set()
