"""Search in conversations: every match once, in order, with a bounded amount of work for each request."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, event, insert

from taskchat import conversations
from taskchat.conversations import search
from taskchat.errors import InvalidRequestError
from taskchat.models import CONVERSATIONS, MESSAGES, TURNS, ConversationKind, Role, TurnStatus
from tests.support.rolled_back import ANN, BOB

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


def add(connection: Connection, *contents: str, user: uuid.UUID = ANN, title: str = "talk", age: int = 0) -> int:
    """Add a conversation whose last activity was `age` minutes before noon, with messages, oldest first."""
    values = {"user_id": user, "title": title, "updated_at": NOON - timedelta(minutes=age)}
    added = int(connection.execute(insert(CONVERSATIONS).values(values).returning(CONVERSATIONS.c.id)).scalar_one())
    rows = [{"conversation_id": added, "role": Role.USER, "content": content} for content in contents]
    if rows:
        connection.execute(insert(MESSAGES), rows)
    return added


def found(connection: Connection, text: str, limit: int = 20, user: uuid.UUID = ANN) -> list[int]:
    """Return the ids of all conversations that a search finds, from as many pages as it takes."""
    page = conversations.search_page(connection, user, text, limit=limit)
    ids = [match.conversation.id for match in page.items]
    while page.next_cursor is not None:
        page = conversations.search_page(connection, user, text, limit=limit, cursor=page.next_cursor)
        assert len(page.items) <= limit
        ids += [match.conversation.id for match in page.items]
    return ids


def snippets(connection: Connection, text: str) -> Sequence[str]:
    return [match.snippet for match in conversations.search_page(connection, ANN, text, limit=20).items]


def test_titles_and_messages_are_searched(connection: Connection) -> None:
    by_title = add(connection, "Hello", title="Buy milk", age=2)
    by_message = add(connection, "Hello", "Remind me of the MILK please", age=1)
    add(connection, "Hello", "Bread")
    assert found(connection, "milk") == [by_message, by_title]
    assert snippets(connection, "milk") == ["Remind me of the MILK please", "Buy milk"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Äpfel kaufen", "äPFEL"),
        ("Cafe\u0301", "CAF\u00c9"),
        ("100 % sure", "100 %"),
        ("Straße", "STRASSE"),
        ("a_b", "A_B"),
    ],
)
def test_spelling_and_case_do_not_matter(connection: Connection, content: str, text: str) -> None:
    hit = add(connection, content)
    add(connection, "10025 sure ab axb")
    assert found(connection, text) == [hit]


def test_conversations_of_others_are_not_found(connection: Connection) -> None:
    add(connection, "secret word", title="secret word", user=BOB)
    assert found(connection, "secret") == []


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_every_match_comes_once_and_in_order(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    for name, number in (
        ("CONVERSATIONS_AT_ONCE", 3),
        ("MESSAGES_AT_ONCE", 2),
        ("MORE_MESSAGES_AT_ONCE", 3),
        ("MOST_MESSAGES", 7),
    ):
        monkeypatch.setattr(search, name, number)
    expected = []
    for number in range(12):
        contents = [f"words {place}" for place in range(number * 2)]
        if number % 3:
            contents[number % len(contents)] = "the needle"
        added = add(connection, *contents, age=number // 2)
        if number % 3:
            expected.append((number // 2, -added))
    assert found(connection, "needle", limit) == [-added for _, added in sorted(expected)]


def test_a_request_stops_after_its_share_of_work(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_CHARACTERS", 100)
    for age in range(3 * search.CONVERSATIONS_AT_ONCE):
        add(connection, "x" * 100, age=age)
    statements: list[str] = []
    event.listen(connection, "after_cursor_execute", lambda *execution: statements.append(execution[2]))
    page = conversations.search_page(connection, ANN, "needle", limit=20)
    assert (list(page.items), page.next_cursor is None, len(statements)) == ([], False, 2)


def test_a_deletion_between_two_pages_skips_nothing(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MESSAGES_AT_ONCE", 2)
    monkeypatch.setattr(search, "MOST_MESSAGES", 2)
    older = add(connection, "needle", age=1)
    begun = add(connection, *("words" for _ in range(9)))
    page = conversations.search_page(connection, ANN, "needle", limit=20)
    assert page.items == []
    conversations.delete(connection, ANN, begun)
    rest = conversations.search_page(connection, ANN, "needle", limit=20, cursor=page.next_cursor)
    assert [match.conversation.id for match in rest.items] == [older]


def test_messages_of_replaced_turns_are_not_searched(connection: Connection) -> None:
    hidden = add(connection)
    turn_id = uuid.uuid4()
    state = {"attempt": 1, "request_hash": "", "idempotency_key": "k", "lease_expires_at": NOON}
    turn = {**state, "id": turn_id, "user_id": ANN, "conversation_id": hidden, "status": TurnStatus.REPLACED}
    connection.execute(insert(TURNS).values(turn))
    message = {"conversation_id": hidden, "turn_id": turn_id, "role": Role.USER, "content": "needle"}
    connection.execute(insert(MESSAGES).values(message))
    assert found(connection, "needle") == []


def test_a_snippet_is_one_short_line_around_the_match(connection: Connection) -> None:
    add(connection, "x" * 500 + "\n\n a NEEDLE \n" + "y" * 500)
    [snippet] = snippets(connection, "needle")
    assert " a NEEDLE y" in snippet
    assert len(snippet) <= search.SNIPPET_CHARACTERS + 2
    assert (snippet[0], snippet[-1]) == ("…", "…")


def test_a_kind_is_searched_alone(connection: Connection) -> None:
    chat = add(connection, "needle")
    values = {"user_id": ANN, "title": "needle", "kind": ConversationKind.CLIENT}
    record = connection.execute(insert(CONVERSATIONS).values(values).returning(CONVERSATIONS.c.id)).scalar_one()
    for kind, expected in ((ConversationKind.CHAT, chat), (ConversationKind.CLIENT, record)):
        page = conversations.search_page(connection, ANN, "needle", limit=20, kind=kind)
        assert [match.conversation.id for match in page.items] == [expected]


def test_a_cursor_of_another_search_is_refused(connection: Connection) -> None:
    for _ in range(2):
        add(connection, "needle")
    cursor = conversations.search_page(connection, ANN, "needle", limit=1).next_cursor
    for user, text in ((BOB, "needle"), (ANN, "need")):
        with pytest.raises(InvalidRequestError):
            conversations.search_page(connection, user, text, limit=1, cursor=cursor)
