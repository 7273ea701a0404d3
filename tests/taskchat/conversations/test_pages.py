"""A person's conversations: whole, in order, and nobody else's."""

import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select, text, update
from sqlmodel import col

from taskchat import conversations
from taskchat.errors import InvalidRequestError, NotFoundError
from taskchat.models import Conversation, Message, Role
from tests.support.rolled_back import ANN, BOB
from tests.taskchat.conversations.conftest import NOON

Converse = Callable[..., int]
Say = Callable[..., int]
CALL = {"id": "1", "tool": "get_task", "arguments": {}, "result": {}, "timestamp": "2025-12-07T10:30:00Z"}
MOST_PAGES = 20
"""More than any test has; paging that does not come forward ends here."""


def all_conversations(connection: Connection, limit: int, user: uuid.UUID = ANN) -> list[list[int]]:
    """Return the ids, page by page."""
    page = conversations.list_page(connection, user, limit=limit)
    pages = [[item.id for item in page.items]]
    while page.next_cursor is not None and len(pages) < MOST_PAGES:
        page = conversations.list_page(connection, user, limit=limit, cursor=page.next_cursor)
        pages.append([item.id for item in page.items])
    return pages


def all_messages(connection: Connection, conversation_id: int, limit: int) -> list[list[int]]:
    """Return the ids, page by page."""
    page = conversations.messages_page(connection, ANN, conversation_id, limit=limit)
    pages = [[item.id for item in page.items]]
    while page.next_cursor is not None and len(pages) < MOST_PAGES:
        page = conversations.messages_page(connection, ANN, conversation_id, limit=limit, cursor=page.next_cursor)
        pages.append([item.id for item in page.items])
    return pages


def test_a_conversation_is_read_as_it_stands(connection: Connection, converse: Converse) -> None:
    known = converse("Groceries", after_microseconds=1)
    record = conversations.get(connection, ANN, known)
    assert (record.id, record.title, record.created_at) == (known, "Groceries", NOON)
    assert record.updated_at.microsecond == 1
    assert conversations.list_page(connection, ANN, limit=1).items == [record]


def test_order_is_newest_activity_then_newest_id(connection: Connection, converse: Converse) -> None:
    ids = [converse(after_microseconds=after) for after in (5, 0, 5, 9)]
    assert all_conversations(connection, 100) == [[ids[3], ids[2], ids[0], ids[1]]]


@pytest.mark.parametrize(
    ("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (6, [5]), (100, [5])]
)
def test_pages_hold_everything_once(connection: Connection, converse: Converse, limit: int, sizes: list[int]) -> None:
    ids = [converse(after_microseconds=after // 2) for after in range(5)]
    pages = all_conversations(connection, limit)
    assert [len(page) for page in pages] == sizes
    assert [known for page in pages for known in page] == ids[::-1]


def test_nobody_has_conversations_at_first(connection: Connection) -> None:
    assert conversations.list_page(connection, ANN, limit=20) == conversations.Page([], None)


def test_activity_while_paging_skips_and_repeats_nothing(connection: Connection, converse: Converse) -> None:
    old = [converse(after_microseconds=after) for after in range(6)]
    first = conversations.list_page(connection, ANN, limit=2)
    connection.execute(
        update(Conversation).where(col(Conversation.id) == old[5]).values(updated_at=NOON.replace(year=2999))
    )
    converse(after_microseconds=99)
    second = conversations.list_page(connection, ANN, limit=4, cursor=first.next_cursor)
    assert [item.id for item in [*first.items, *second.items]] == old[::-1]
    assert second.next_cursor is None


def test_messages_come_newest_page_first_and_oldest_first_inside(
    connection: Connection, converse: Converse, say: Say
) -> None:
    known = converse()
    ids = [say(known, str(after), after_microseconds=after) for after in range(5)]
    assert all_messages(connection, known, 2) == [ids[3:], ids[1:3], ids[:1]]


def test_messages_of_one_instant_keep_their_order_across_pages(
    connection: Connection, converse: Converse, say: Say
) -> None:
    known = converse()
    ids = [say(known, str(number)) for number in range(7)]
    assert all_messages(connection, known, 3) == [ids[4:], ids[1:4], ids[:1]]


def test_a_message_is_read_as_it_was_written(connection: Connection, converse: Converse, say: Say) -> None:
    known = converse()
    say(known, "Hi", after_microseconds=123457)
    say(known, "", role=Role.ASSISTANT, tool_calls=[CALL], after_microseconds=123458)
    asked, answered = conversations.messages_page(connection, ANN, known, limit=2).items
    assert (asked.role, asked.content, asked.tool_calls) == (Role.USER, "Hi", None)
    assert asked.created_at.microsecond == 123457
    assert (answered.role, answered.content, answered.tool_calls) == (Role.ASSISTANT, "", [CALL])


def test_messages_that_arrive_while_paging_move_nothing(connection: Connection, converse: Converse, say: Say) -> None:
    chance = random.Random(2026)  # noqa: S311 - the same on every run
    known, other = converse(), converse()
    old = [say(known, str(number), after_microseconds=number // 3) for number in range(40)]
    page = conversations.messages_page(connection, ANN, known, limit=3)
    seen = [item.id for item in page.items]
    while page.next_cursor is not None and len(seen) <= len(old):
        for _ in range(chance.randrange(4)):
            say(chance.choice([known, other]), "new", after_microseconds=1000)
        limit = chance.randrange(1, 6)
        page = conversations.messages_page(connection, ANN, known, limit=limit, cursor=page.next_cursor)
        seen = [item.id for item in page.items] + seen
    assert seen == old


def test_a_renamed_conversation_keeps_its_place(connection: Connection, converse: Converse) -> None:
    older, newer = converse("older"), converse("newer", after_microseconds=1)
    renamed = conversations.rename(connection, ANN, older, "Groceries")
    assert renamed.title == "Groceries"
    assert conversations.get(connection, ANN, older) == renamed
    assert all_conversations(connection, 20) == [[newer, older]]


def test_a_deleted_conversation_goes_with_its_messages_and_alone(
    connection: Connection, converse: Converse, say: Say
) -> None:
    gone, kept = converse(), converse()
    say(gone, "gone")
    say(kept, "kept")
    conversations.delete(connection, ANN, gone)
    with pytest.raises(NotFoundError):
        conversations.get(connection, ANN, gone)
    assert connection.execute(select(col(Message.content))).scalars().all() == ["kept"]


def test_deleting_all_leaves_other_people_theirs(connection: Connection, converse: Converse, say: Say) -> None:
    for _ in range(3):
        say(converse(), "Ann's")
    kept = converse(user=BOB)
    conversations.delete_all(connection, ANN)
    assert all_conversations(connection, 20) == [[]]
    assert all_conversations(connection, 20, BOB) == [[kept]]
    assert connection.execute(select(func.count()).select_from(Message)).scalar_one() == 0


REACHES: dict[str, Callable[[Connection, uuid.UUID, int], object]] = {
    "get": conversations.get,
    "messages": lambda connection, user, known: conversations.messages_page(connection, user, known, limit=50),
    "rename": lambda connection, user, known: conversations.rename(connection, user, known, "stolen"),
    "delete": conversations.delete,
}


@pytest.mark.parametrize("reach", REACHES.values(), ids=REACHES)
def test_a_foreign_conversation_is_as_unknown_as_a_missing_one(
    connection: Connection, converse: Converse, say: Say, reach: Callable[[Connection, uuid.UUID, int], object]
) -> None:
    known = converse("Ann's")
    say(known, "secret")
    before = conversations.get(connection, ANN, known)
    with pytest.raises(NotFoundError) as foreign:
        reach(connection, BOB, known)
    assert conversations.get(connection, ANN, known) == before
    conversations.delete(connection, ANN, known)
    with pytest.raises(NotFoundError) as absent:
        reach(connection, BOB, known)
    assert str(foreign.value) == str(absent.value)


def test_the_cursor_of_another_persons_messages_opens_nothing(
    connection: Connection, converse: Converse, say: Say
) -> None:
    known = converse()
    for number in range(3):
        say(known, str(number))
    cursor = conversations.messages_page(connection, ANN, known, limit=1).next_cursor
    with pytest.raises(NotFoundError):
        conversations.messages_page(connection, BOB, known, limit=1, cursor=cursor)


def test_a_cursor_only_fits_its_own_list(connection: Connection, converse: Converse, say: Say) -> None:
    known, other = converse(), converse()
    for number in range(3):
        say(known, str(number))
    of_list = conversations.list_page(connection, ANN, limit=1).next_cursor
    of_messages = conversations.messages_page(connection, ANN, known, limit=1).next_cursor
    wrong: list[Callable[[], object]] = [
        lambda: conversations.list_page(connection, ANN, limit=1, cursor=of_messages),
        lambda: conversations.list_page(connection, BOB, limit=1, cursor=of_list),
        lambda: conversations.messages_page(connection, ANN, known, limit=1, cursor=of_list),
        lambda: conversations.messages_page(connection, ANN, other, limit=1, cursor=of_messages),
    ]
    for use in wrong:
        with pytest.raises(InvalidRequestError):
            use()


def test_messages_keep_their_order_if_a_clock_is_set_back(connection: Connection, converse: Converse, say: Say) -> None:
    known = converse()
    ids = [say(known, str(number), after_microseconds=-number) for number in range(5)]
    newest = conversations.messages_page(connection, ANN, known, limit=2)
    older = conversations.messages_page(connection, ANN, known, limit=9, cursor=newest.next_cursor)
    assert [message.id for message in (*older.items, *newest.items)] == ids


PAGES: dict[str, tuple[Callable[..., Any], dict[str, str], dict[str, str]]] = {
    "conversations": (
        lambda connection, _, cursor: conversations.list_page(connection, ANN, limit=2, cursor=cursor),
        {
            "postgresql": "Index Scan Backward using ix_conversations_user_id_updated_at_id",
            "sqlite": "USING INDEX ix_conversations_user_id_updated_at_id (user_id>?",
        },
        {"postgresql": "ROW(user_id, updated_at, id) < ROW(", "sqlite": " AND (user_id,updated_at)<("},
    ),
    "messages": (
        lambda connection, known, cursor: conversations.messages_page(connection, ANN, known, limit=2, cursor=cursor),
        {
            "postgresql": "Index Scan Backward using ix_messages_conversation_id_id",
            "sqlite": "USING INDEX ix_messages_conversation_id_id (conversation_id>?",
        },
        # SQLite compares only the first column by the index.
        {"postgresql": "ROW(conversation_id, id) < ROW("},
    ),
}


@pytest.mark.parametrize(("page", "index", "position"), PAGES.values(), ids=PAGES)
def test_a_page_walks_its_index_from_the_cursor(
    connection: Connection,
    converse: Converse,
    say: Say,
    page: Callable[..., Any],
    index: dict[str, str],
    position: dict[str, str],
) -> None:
    dialect = connection.dialect.name
    known = [converse(user=(ANN, BOB)[number % 2], after_microseconds=number) for number in range(1000)][-2]
    for number in range(300):
        say(known, str(number), after_microseconds=number)
    connection.execute(text("ANALYZE"))
    plans = []

    def explain(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            explanation = "EXPLAIN (COSTS OFF)" if dialect == "postgresql" else "EXPLAIN QUERY PLAN"
            rows = connection.exec_driver_sql(f"{explanation} {statement}", parameters)
            plans.append("\n".join(str(row[-1]) for row in rows))

    event.listen(connection, "before_cursor_execute", explain)
    first = page(connection, known, None)
    page(connection, known, first.next_cursor)
    from_the_end, from_the_cursor = plans
    assert index[dialect] in from_the_end
    assert index[dialect] in from_the_cursor
    if dialect in position:
        assert position[dialect] not in from_the_end
        assert position[dialect] in from_the_cursor
