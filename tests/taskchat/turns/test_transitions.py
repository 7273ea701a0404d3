"""The transitions of a turn under way, each on its own; `tests/taskchat/test_chat.py` runs them together."""

import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select
from sqlmodel import col

from taskchat import turns
from taskchat.database import Database
from taskchat.errors import (
    NotFoundError,
    TurnCancelledError,
    TurnFinishedError,
    TurnSupersededError,
)
from taskchat.models import Conversation, Role, TurnStatus
from tests.support.owner import as_owner
from tests.taskchat.turns.transitions import (
    ANN,
    BOB,
    CALL,
    begin,
    change_turn,
    finish,
    interrupt,
    last_activity,
    let_the_lease_expire,
    record_step,
    started,
    stored_messages,
    stored_turn,
    turn_request,
)


def test_a_step_extends_the_lease(database: Database) -> None:
    lease = started(database)
    let_the_lease_expire(database, lease)
    record_step(database, lease)
    left_seconds = (stored_turn(database, lease.turn_id).lease_expires_at - datetime.now(UTC)).total_seconds()
    assert 25 < left_seconds <= 30


def test_steps_and_reply_are_appended_and_costs_added(database: Database) -> None:
    held = started(database)
    renewed = record_step(database, held)
    last = renewed.renewed()
    message_id = finish(database, renewed, last)
    turn = stored_turn(database, held.turn_id)
    assert (turn.status, turn.model, turn.input_tokens, turn.output_tokens) == (TurnStatus.FINISHED, "scripted", 30, 3)
    assert turn.finished_at is not None
    assert stored_messages(database) == [
        (Role.USER, "Buy milk", None),
        (Role.ASSISTANT, "", [CALL]),
        (Role.ASSISTANT, "Done.", None),
    ]
    replies = database.transaction(ANN.user_id, lambda connection: turns.recorded(connection, last))
    assert replies is not None
    assert replies[-1].message_id == message_id


def test_finishing_touches_the_conversation(database: Database) -> None:
    held = started(database)
    before = last_activity(database)
    finish(database, held)
    assert last_activity(database) > before


def test_finishing_touches_no_other_conversation(database: Database) -> None:
    finish(database, started(database, turn_request("other")))
    before = last_activity(database)
    held = started(database)
    finish(database, held)
    newer = select(col(Conversation.id)).where(col(Conversation.updated_at) > before)
    touched = as_owner(database, lambda connection: connection.execute(newer).scalars().all())
    assert touched == [held.conversation_id]


def test_an_overtaken_invocation_writes_nothing(database: Database) -> None:
    late = started(database)
    let_the_lease_expire(database, late)
    lease = started(database)
    before = last_activity(database)
    with pytest.raises(TurnSupersededError):
        record_step(database, late)
    with pytest.raises(TurnSupersededError):
        finish(database, late)
    interrupt(database, late)
    assert len(stored_messages(database)) == 1
    assert last_activity(database) == before
    turn = stored_turn(database, lease.turn_id)
    assert (turn.status, turn.attempt, turn.lease_token) == (TurnStatus.RUNNING, 2, lease.token)


def test_an_interrupt_tells_whether_the_lease_was_held(database: Database) -> None:
    late = started(database)
    let_the_lease_expire(database, late)
    lease = started(database)
    assert not interrupt(database, late)
    assert interrupt(database, lease)


def test_a_takeover_by_the_release_before_fences_too(database: Database) -> None:
    late = started(database)
    change_turn(database, late.turn_id, attempt=2)  # that release counts the attempt and knows no token
    with pytest.raises(TurnSupersededError):
        finish(database, late)


def test_a_repeated_write_is_refused_and_recognised(database: Database) -> None:
    held = started(database)
    renewed = record_step(database, held)
    with pytest.raises(TurnSupersededError):
        record_step(database, held, renewed)
    replies = database.transaction(ANN.user_id, lambda connection: turns.recorded(connection, renewed))
    assert replies is not None
    assert [reply.tool_calls for reply in replies] == [[CALL]]
    last = renewed.renewed()
    message_id = finish(database, renewed, last)
    with pytest.raises(TurnSupersededError):
        finish(database, renewed, last)
    replies = database.transaction(ANN.user_id, lambda connection: turns.recorded(connection, last))
    assert replies is not None
    assert replies[-1].message_id == message_id
    assert len(stored_messages(database)) == 3


def test_a_write_in_a_deleted_conversation_is_not_recorded(database: Database) -> None:
    held = started(database)
    step = record_step(database, held)
    last = step.renewed()
    finish(database, step, last)
    as_owner(database, lambda connection: connection.execute(delete(Conversation)))
    assert database.transaction(ANN.user_id, lambda connection: turns.recorded(connection, last)) is None


def test_a_write_that_was_not_committed_is_not_recorded(database: Database) -> None:
    held = started(database)
    assert database.transaction(ANN.user_id, lambda connection: turns.recorded(connection, held.renewed())) is None


def test_a_deleted_conversation_supersedes_its_turn(database: Database) -> None:
    lease = started(database)
    gone = Conversation.__table__.delete()  # type: ignore[attr-defined]
    as_owner(database, lambda connection: connection.execute(gone))
    with pytest.raises(TurnSupersededError):
        record_step(database, lease)
    with pytest.raises(TurnSupersededError):
        finish(database, lease)
    assert stored_messages(database) == []


@pytest.mark.parametrize("end", ["running", "interrupted"])
def test_a_cancelled_turn_writes_nothing_more(database: Database, end: str) -> None:
    lease = started(database)
    if end == "interrupted":
        interrupt(database, lease)
    for _ in range(2):
        database.transaction(ANN.user_id, lambda connection: turns.cancel(connection, ANN.user_id, lease.turn_id))
    turn = stored_turn(database, lease.turn_id)
    assert turn.status is TurnStatus.CANCELLED
    assert turn.finished_at is not None
    with pytest.raises(TurnSupersededError):
        record_step(database, lease)
    with pytest.raises(TurnSupersededError):
        finish(database, lease)
    with pytest.raises(TurnCancelledError):
        begin(database, turn_request())
    started(database, turn_request("next", lease.conversation_id))


def test_a_finished_turn_cannot_be_cancelled(database: Database) -> None:
    lease = started(database)
    finish(database, lease)
    with pytest.raises(TurnFinishedError):
        database.transaction(ANN.user_id, lambda connection: turns.cancel(connection, ANN.user_id, lease.turn_id))
    assert stored_turn(database, lease.turn_id).status is TurnStatus.FINISHED


def test_a_foreign_turn_cannot_be_cancelled(database: Database) -> None:
    lease = started(database)
    for turn_id in (lease.turn_id, uuid.uuid4()):
        with pytest.raises(NotFoundError, match=f"There is no turn {turn_id}"):
            as_owner(database, lambda connection, turn_id=turn_id: turns.cancel(connection, BOB.user_id, turn_id))  # type: ignore[misc]
    assert stored_turn(database, lease.turn_id).status is TurnStatus.RUNNING
