"""The beginning of a turn, its continuation under the same key, and the turns that keep it waiting."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, select, text
from sqlmodel import col

from taskchat import conversations, turns
from taskchat.database import Database
from taskchat.errors import (
    ConversationBusyError,
    ConversationDeletedError,
    DatabaseUnavailableError,
    IdempotencyKeyReusedError,
    NotFoundError,
    TurnInProgressError,
    TurnSupersededError,
)
from taskchat.models import Conversation, Message, Role, TurnStatus, User
from taskchat.turns import LONGEST_LEASE_SECONDS, FinishedTurn, StartedTurn
from tests.support.owner import as_owner, other_session, wait_for_lock
from tests.taskchat.turns.transitions import (
    ANN,
    BOB,
    CALL,
    about_to_finish,
    begin,
    change_turn,
    finish,
    interrupt,
    let_the_lease_expire,
    record_step,
    started,
    stored_messages,
    stored_titles,
    stored_turn,
    turn_request,
)


def test_a_new_turn_makes_its_conversation(database: Database) -> None:
    request = turn_request()
    lease = started(database, request)
    turn = stored_turn(database, request.turn_id)
    assert (turn.status, turn.attempt, turn.user_id) == (TurnStatus.RUNNING, 1, ANN.user_id)
    assert turn.lease_token == lease.token
    assert stored_messages(database) == [(Role.USER, "Buy milk", None)]
    assert stored_titles(database) == ["Buy milk"]


@pytest.mark.parametrize("lease_seconds", [3.0, 28.5])
def test_a_lease_lasts_from_the_moment_of_the_write(database: Database, lease_seconds: float) -> None:
    request = turn_request()
    begin(database, request, lease_seconds=lease_seconds)
    turn = stored_turn(database, request.turn_id)
    granted_seconds = (turn.lease_expires_at - turn.created_at).total_seconds()
    assert granted_seconds == pytest.approx(lease_seconds, abs=1)


@pytest.mark.parametrize("conversation_id", [1, 10**15])
def test_a_foreign_conversation_is_not_found(database: Database, conversation_id: int) -> None:
    finish(database, started(database))
    with pytest.raises(NotFoundError, match=rf"^There is no conversation {conversation_id}\.$"):
        begin(database, turn_request("other", conversation_id, BOB))
    assert len(stored_messages(database)) == 2


def test_a_known_key_makes_no_second_conversation(database: Database) -> None:
    started(database)
    with pytest.raises(TurnInProgressError):
        begin(database, turn_request())
    assert len(stored_messages(database)) == 1
    assert stored_titles(database) == ["Buy milk"]


def test_a_key_belongs_to_one_person(database: Database) -> None:
    started(database, turn_request(person=ANN))
    started(database, turn_request(person=BOB))
    assert len(stored_messages(database)) == 2


def test_a_conversation_has_one_running_turn(database: Database) -> None:
    lease = started(database)
    with pytest.raises(ConversationBusyError) as busy:
        begin(database, turn_request("second", lease.conversation_id))
    assert 1 <= busy.value.retry_after_seconds <= 30
    assert len(stored_messages(database)) == 1


def test_a_finished_turn_is_returned_with_all_replies(database: Database) -> None:
    held = started(database)
    message_id = finish(database, record_step(database, held))
    found = begin(database, turn_request())
    assert isinstance(found, FinishedTurn)
    assert found.conversation_id == held.conversation_id
    assert [reply.content for reply in found.replies] == ["", "Done."]
    assert found.replies[-1].message_id == message_id


def test_a_live_lease_is_respected(database: Database) -> None:
    started(database)
    with pytest.raises(TurnInProgressError) as in_progress:
        begin(database, turn_request())
    assert 1 <= in_progress.value.retry_after_seconds <= 30


@pytest.mark.parametrize("ahead_seconds", [LONGEST_LEASE_SECONDS + 5, 600])
def test_a_lease_too_long_to_be_true_has_expired(database: Database, ahead_seconds: float) -> None:
    lease = started(database)
    expires_at = datetime.now(UTC) + timedelta(seconds=ahead_seconds)
    change_turn(database, lease.turn_id, lease_expires_at=expires_at)
    assert started(database).attempt == 2


def test_a_repeated_begin_returns_its_own_turn(database: Database) -> None:
    request, token = turn_request(), uuid.uuid4()
    first = started(database, request, token)
    assert started(database, request, token) == first
    assert stored_titles(database) == ["Buy milk"]


def test_a_repeated_takeover_returns_its_own_turn(database: Database) -> None:
    let_the_lease_expire(database, started(database))
    token = uuid.uuid4()
    first = started(database, turn_request(), token)
    assert started(database, turn_request(), token) == first
    assert first.attempt == 2


@pytest.mark.parametrize("end", ["lease expired", TurnStatus.INTERRUPTED, TurnStatus.FAILED])
def test_a_stopped_turn_continues_after_its_steps(database: Database, end: str) -> None:
    renewed = record_step(database, started(database))
    if end == "lease expired":
        let_the_lease_expire(database, renewed)
    else:
        interrupt(database, renewed, is_permanent=end is TurnStatus.FAILED)
        turn = stored_turn(database, renewed.turn_id)
        assert (turn.status, turn.error) == (end, "the model failed")
    continued = begin(database, turn_request())
    assert isinstance(continued, StartedTurn)
    assert continued.lease.attempt == 2
    assert [step.tool_calls for step in continued.steps] == [[CALL]]
    finish(database, continued.lease)
    assert len(stored_messages(database)) == 3
    assert stored_turn(database, renewed.turn_id).error is None


def test_a_key_with_another_request_is_refused(database: Database) -> None:
    started(database)
    with pytest.raises(IdempotencyKeyReusedError):
        begin(database, replace(turn_request(), request_hash="another"))


def test_a_newer_message_abandons_a_stale_turn_for_good(database: Database) -> None:
    lease = started(database)
    let_the_lease_expire(database, lease)
    started(database, turn_request("second", lease.conversation_id))
    assert stored_turn(database, lease.turn_id).status is TurnStatus.ABANDONED
    with pytest.raises(TurnSupersededError):
        begin(database, turn_request())


def test_a_newer_turn_supersedes_an_interrupted_one(database: Database) -> None:
    first = started(database)
    interrupt(database, first)
    second = started(database, turn_request("second", first.conversation_id))
    with pytest.raises(TurnSupersededError):
        begin(database, turn_request())
    finish(database, second)
    with pytest.raises(TurnSupersededError):
        begin(database, turn_request())


@pytest.mark.parametrize("end", ["running", "finished"])
def test_a_clock_set_back_changes_no_order(database: Database, end: str) -> None:
    first = started(database)
    interrupt(database, first)
    second = started(database, turn_request("second", first.conversation_id))
    if end == "finished":
        finish(database, second)
    change_turn(database, second.turn_id, created_at=datetime.now(UTC) - timedelta(minutes=5))
    with pytest.raises(TurnSupersededError):
        begin(database, turn_request())
    interrupt(database, second)
    assert isinstance(begin(database, turn_request("second", first.conversation_id)), StartedTurn | FinishedTurn)


def test_a_key_outlives_its_conversation(database: Database) -> None:
    lease = started(database)
    finish(database, lease)
    database.transaction(
        ANN.user_id, lambda connection: conversations.delete(connection, ANN.user_id, lease.conversation_id)
    )
    with pytest.raises(ConversationDeletedError):
        begin(database, turn_request())
    assert stored_titles(database) == []


@pytest.mark.parametrize(("given", "kept"), [("new@example.com", "new@example.com"), (None, "old@example.com")])
def test_an_email_address_is_updated_if_given(database: Database, given: str | None, kept: str) -> None:
    started(database, turn_request("first", person=replace(ANN, email="old@example.com")))
    started(database, turn_request("second", person=replace(ANN, email=given)))
    email = as_owner(database, lambda connection: connection.execute(select(col(User.email))).scalar_one())
    assert email == kept


def test_a_title_is_one_line_of_200_characters(database: Database) -> None:
    started(database, replace(turn_request(), message="Buy\n  milk " + "x" * 300))
    assert stored_titles(database) == ["Buy milk " + "x" * 191]


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_turn_that_waited_reads_the_reply_before_it(database: Database, database_url: str) -> None:
    held = started(database, turn_request("first"))
    next_request = turn_request("next", held.conversation_id)

    def begin_and_read(connection: Connection) -> list[str]:
        turns.begin(connection, next_request, uuid.uuid4(), 30)
        return list(connection.execute(select(col(Message.content)).order_by(col(Message.id))).scalars())

    with about_to_finish(database_url, held) as connection, ThreadPoolExecutor() as pool:
        waiting = pool.submit(database.transaction, ANN.user_id, begin_and_read)
        wait_for_lock(connection, waiting)
        connection.commit()
        history = waiting.result()

    assert history == ["Buy milk", "Done.", "Buy milk"]


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_takeover_waits_for_a_newer_turn_to_commit(database: Database, database_url: str) -> None:
    first = started(database)
    interrupt(database, first)
    with other_session(database_url) as connection, ThreadPoolExecutor() as pool:
        turns.begin(connection, turn_request("second", first.conversation_id), uuid.uuid4(), 30)
        waiting = pool.submit(begin, database, turn_request())
        wait_for_lock(connection, waiting)
        connection.commit()
        with pytest.raises(TurnSupersededError):
            waiting.result()


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_begin_waits_for_a_turn_that_is_being_queued(database: Database, database_url: str) -> None:
    first = started(database)
    finish(database, first)
    with other_session(database_url) as connection, ThreadPoolExecutor() as pool:
        turns.accept(connection, turn_request("queued", first.conversation_id))
        waiting = pool.submit(begin, database, turn_request("next", first.conversation_id))
        wait_for_lock(connection, waiting)
        connection.commit()
        with pytest.raises(ConversationBusyError):
            waiting.result()


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_conversation_deleted_meanwhile_is_not_found(database: Database, database_url: str) -> None:
    lease = started(database)
    finish(database, lease)
    with other_session(database_url) as connection, ThreadPoolExecutor() as pool:
        connection.execute(delete(Conversation))
        waiting = pool.submit(begin, database, turn_request("second", lease.conversation_id))
        wait_for_lock(connection, waiting)
        connection.commit()
        with pytest.raises(NotFoundError):
            waiting.result()


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_begin_given_up_leaves_nothing_or_a_turn(database: Database, database_url: str) -> None:
    held = started(database, turn_request("first"))
    next_request = turn_request("next", held.conversation_id)
    impatient = Database(lambda: database_url, deadline_seconds=0.2)
    with about_to_finish(database_url, held) as connection:
        with pytest.raises(DatabaseUnavailableError):
            begin(impatient, next_request)
        connection.commit()
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
        while connection.execute(text(others)).scalar() != 1:
            connection.rollback()
    impatient.dispose()

    found = as_owner(
        database,
        lambda connection: connection.execute(
            text("SELECT count(*) FROM turns WHERE idempotency_key = 'next'")
        ).scalar(),
    )
    if found:
        change_turn(database, next_request.turn_id, lease_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    repeated = started(database, replace(next_request, turn_id=uuid.uuid4()))
    finish(database, repeated)
    assert [content for _, content, _ in stored_messages(database)] == ["Buy milk", "Done.", "Buy milk", "Done."]
