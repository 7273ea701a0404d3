"""The transitions of a turn that goes on without its client."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from taskchat import conversations, turns
from taskchat.database import Database
from taskchat.errors import (
    ConversationBusyError,
    IdempotencyKeyReusedError,
    NotFoundError,
    TurnCancelledError,
    TurnSupersededError,
)
from taskchat.models import Role, TurnStatus
from taskchat.principal import Principal
from taskchat.turns import AcceptedTurn, FinishedTurn, StartedTurn, TakenTurn, TurnRecord, TurnRequest
from tests.support.owner import as_owner
from tests.taskchat.turns.transitions import (
    ANN,
    BOB,
    LEASE_SECONDS,
    begin,
    change_turn,
    finish,
    interrupt,
    let_the_lease_expire,
    record_step,
    started,
    stored_messages,
    stored_turn,
    turn_request,
)

LONG_AGO = datetime.now(UTC) - timedelta(days=31)


def accept(database: Database, request: TurnRequest | None = None) -> AcceptedTurn | FinishedTurn:
    wanted = request or turn_request()
    return database.transaction(wanted.principal.user_id, lambda connection: turns.accept(connection, wanted))


def accepted(database: Database, request: TurnRequest | None = None) -> uuid.UUID:
    turn = accept(database, request)
    assert isinstance(turn, AcceptedTurn)
    return turn.turn_id


def take(database: Database, turn_id: uuid.UUID, token: uuid.UUID | None = None) -> TakenTurn | None:
    token = token or uuid.uuid4()
    return database.turn_transaction(turn_id, lambda connection: turns.take(connection, turn_id, token, LEASE_SECONDS))


def taken(database: Database, turn_id: uuid.UUID) -> TakenTurn:
    turn = take(database, turn_id)
    assert turn is not None
    return turn


def swept(database: Database) -> list[uuid.UUID]:
    return list(database.sweep_transaction(lambda connection: turns.unfinished(connection, 100)))


def shown(database: Database, person: Principal, turn_id: uuid.UUID) -> TurnRecord:
    return database.transaction(person.user_id, lambda connection: turns.get(connection, person.user_id, turn_id))


def delete_conversation(database: Database, conversation_id: int) -> None:
    database.transaction(ANN.user_id, lambda connection: conversations.delete(connection, ANN.user_id, conversation_id))


def wait_for_the_sweep(database: Database, turn_id: uuid.UUID) -> None:
    """Let the time pass that the worker has before the sweep."""
    change_turn(database, turn_id, lease_expires_at=datetime.now(UTC) - timedelta(seconds=1))


def test_an_accepted_turn_has_its_message(database: Database) -> None:
    turn_id = accepted(database)
    turn = stored_turn(database, turn_id)
    assert (turn.status, turn.attempt, turn.idle_attempts, turn.lease_token) == (TurnStatus.QUEUED, 0, 0, None)
    assert [role for role, _, _ in stored_messages(database)] == [Role.USER]


def test_the_worker_needs_nothing_but_the_id(database: Database) -> None:
    request = replace(turn_request(), time_zone="Europe/Berlin", message_context={"now": "then"})
    turn = taken(database, accepted(database, request))
    assert turn.principal == ANN
    assert (turn.message, turn.time_zone) == (request.message, "Europe/Berlin")
    assert turn.started.message_context == {"now": "then"}
    assert (turn.started.lease.attempt, turn.started.idle_attempts) == (1, 1)
    finish(database, turn.started.lease)
    assert stored_turn(database, turn.started.lease.turn_id).status is TurnStatus.FINISHED


def test_a_message_that_comes_twice_takes_a_turn_once(database: Database) -> None:
    turn_id = accepted(database)
    taken(database, turn_id)
    assert take(database, turn_id) is None


def test_a_repeated_take_returns_its_own_turn(database: Database) -> None:
    turn_id, token = accepted(database), uuid.uuid4()
    first, second = take(database, turn_id, token), take(database, turn_id, token)
    assert first == second
    assert stored_turn(database, turn_id).attempt == 1


@pytest.mark.parametrize(
    "status",
    [TurnStatus.FINISHED, TurnStatus.FAILED, TurnStatus.ABANDONED, TurnStatus.CANCELLED, TurnStatus.REPLACED],
)
def test_a_message_for_a_turn_that_is_over_does_nothing(database: Database, status: TurnStatus) -> None:
    turn_id = accepted(database)
    change_turn(database, turn_id, status=status)
    before = stored_turn(database, turn_id)
    assert take(database, turn_id) is None
    assert stored_turn(database, turn_id) == before


def test_a_message_for_an_unknown_turn_does_nothing(database: Database) -> None:
    assert take(database, uuid.uuid4()) is None


@pytest.mark.parametrize("end", ["interrupted", "lease expired"])
def test_a_turn_that_stopped_is_taken_after_its_steps(database: Database, end: str) -> None:
    lease = record_step(database, started(database))
    if end == "interrupted":
        interrupt(database, lease)
    else:
        let_the_lease_expire(database, lease)
    turn = taken(database, lease.turn_id)
    assert len(turn.started.steps) == 1
    assert (turn.started.lease.attempt, turn.started.idle_attempts) == (2, 1)


def test_a_newer_message_abandons_an_interrupted_turn(database: Database) -> None:
    first = started(database)
    interrupt(database, first)
    finish(database, started(database, turn_request("second", first.conversation_id)))
    assert take(database, first.turn_id) is None
    assert stored_turn(database, first.turn_id).status is TurnStatus.ABANDONED


def test_five_attempts_without_a_step_fail_a_turn(database: Database) -> None:
    turn_id = accepted(database)
    for _ in range(turns.MOST_IDLE_ATTEMPTS):
        interrupt(database, taken(database, turn_id).started.lease)
    assert take(database, turn_id) is None
    turn = stored_turn(database, turn_id)
    assert turn.status is TurnStatus.FAILED
    assert turn.error
    assert turn.finished_at is not None


def test_a_step_makes_new_attempts_possible(database: Database) -> None:
    turn_id = accepted(database)
    for _ in range(turns.MOST_IDLE_ATTEMPTS + 1):
        interrupt(database, record_step(database, taken(database, turn_id).started.lease))
    assert stored_turn(database, turn_id).status is TurnStatus.INTERRUPTED
    assert stored_turn(database, turn_id).idle_attempts == 0


def test_the_request_of_a_failed_turn_gets_new_attempts(database: Database) -> None:
    lease = started(database)
    interrupt(database, lease, is_permanent=True)
    assert stored_turn(database, lease.turn_id).finished_at is not None
    accepted(database)
    turn = stored_turn(database, lease.turn_id)
    assert (turn.status, turn.error, turn.finished_at) == (TurnStatus.QUEUED, None, None)


def test_accepting_twice_makes_one_turn(database: Database) -> None:
    assert accepted(database) == accepted(database)
    assert len(stored_messages(database)) == 1


def test_a_running_turn_is_accepted_as_it_is(database: Database) -> None:
    lease = started(database)
    assert accept(database) == AcceptedTurn(lease.turn_id, is_running=True)
    assert stored_turn(database, lease.turn_id).lease_token == lease.token


def test_a_finished_turn_is_returned_to_the_same_request(database: Database) -> None:
    lease = started(database)
    finish(database, lease)
    turn = accept(database)
    assert isinstance(turn, FinishedTurn)
    assert turn.turn_id == lease.turn_id


def test_accepting_refuses_as_beginning_does(database: Database) -> None:
    lease = started(database)
    with pytest.raises(IdempotencyKeyReusedError):
        accept(database, replace(turn_request(), request_hash="another"))
    with pytest.raises(ConversationBusyError):
        accept(database, turn_request("second", lease.conversation_id))
    with pytest.raises(NotFoundError):
        accept(database, turn_request("third", lease.conversation_id, BOB))
    interrupt(database, lease)
    finish(database, started(database, turn_request("fourth", lease.conversation_id)))
    with pytest.raises(TurnSupersededError):
        accept(database)


def test_a_queued_turn_keeps_its_conversation(database: Database) -> None:
    turn_id = accepted(database)
    conversation_id = stored_turn(database, turn_id).conversation_id
    for act in (begin, accept):
        with pytest.raises(ConversationBusyError, match="waits for its answer"):
            act(database, turn_request("second", conversation_id))
    finish(database, taken(database, turn_id).started.lease)
    started(database, turn_request("second", conversation_id))


def test_the_same_request_may_begin_a_queued_turn(database: Database) -> None:
    turn_id = accepted(database)
    turn = begin(database, turn_request())
    assert isinstance(turn, StartedTurn)
    assert turn.lease.turn_id == turn_id
    assert take(database, turn_id) is None


def test_a_queued_turn_can_be_cancelled(database: Database) -> None:
    turn_id = accepted(database)
    database.transaction(ANN.user_id, lambda connection: turns.cancel(connection, ANN.user_id, turn_id))
    assert take(database, turn_id) is None
    with pytest.raises(TurnCancelledError):
        accept(database)


def test_a_deleted_conversation_leaves_the_worker_nothing(database: Database) -> None:
    turn_id = accepted(database)
    delete_conversation(database, stored_turn(database, turn_id).conversation_id)
    assert take(database, turn_id) is None
    assert swept(database) == []


def test_the_sweep_finds_a_turn_whose_message_was_lost(database: Database) -> None:
    turn_id = accepted(database)
    assert swept(database) == []
    wait_for_the_sweep(database, turn_id)
    assert swept(database) == [turn_id]
    assert swept(database) == []
    assert stored_turn(database, turn_id).status is TurnStatus.QUEUED


def test_the_sweep_finds_a_turn_whose_invocation_died(database: Database) -> None:
    lease = started(database)
    assert swept(database) == []
    let_the_lease_expire(database, lease)
    assert swept(database) == [lease.turn_id]
    turn = stored_turn(database, lease.turn_id)
    assert turn.status is TurnStatus.INTERRUPTED
    assert turn.error


def test_the_sweep_waits_as_long_as_a_turn_was_delayed(database: Database) -> None:
    lease = started(database)
    as_owner(
        database,
        lambda connection: turns.interrupt(connection, lease, "slow", is_permanent=False, resume_after_seconds=300),
    )
    left = stored_turn(database, lease.turn_id).lease_expires_at - datetime.now(UTC)
    assert left > timedelta(seconds=300)
    assert swept(database) == []


@pytest.mark.parametrize("status", [TurnStatus.RUNNING, TurnStatus.QUEUED])
def test_the_sweep_believes_no_time_too_far_ahead(database: Database, status: TurnStatus) -> None:
    lease = started(database)
    far_ahead = datetime.now(UTC) + timedelta(hours=2)
    change_turn(database, lease.turn_id, status=status, lease_expires_at=far_ahead)
    assert swept(database) == [lease.turn_id]


def test_the_sweep_leaves_turns_that_are_over(database: Database) -> None:
    lease = started(database)
    finish(database, lease)
    let_the_lease_expire(database, lease)
    assert swept(database) == []


def test_old_keys_of_deleted_conversations_are_forgotten(database: Database) -> None:
    old, new, kept = (started(database, turn_request(key)) for key in ("old", "new", "kept"))
    for lease in (old, new):
        finish(database, lease)
        delete_conversation(database, lease.conversation_id)
    for lease in (old, kept):
        change_turn(database, lease.turn_id, created_at=LONG_AGO)
    assert database.sweep_transaction(lambda connection: turns.forget_old_keys(connection, 100)) == 1
    for lease in (new, kept):
        assert stored_turn(database, lease.turn_id) is not None


def test_a_turn_shows_its_steps_and_then_its_reply(database: Database) -> None:
    lease = record_step(database, started(database))
    under_way = shown(database, ANN, lease.turn_id)
    assert (under_way.status, len(under_way.tool_calls), under_way.response) == (TurnStatus.RUNNING, 1, None)
    message_id = finish(database, lease)
    done = shown(database, ANN, lease.turn_id)
    assert (done.status, done.message_id) == (TurnStatus.FINISHED, message_id)
    assert done.response
    assert done.usage is not None
    assert done.finished_at is not None


def test_a_foreign_turn_is_not_found(database: Database) -> None:
    lease = started(database)
    for person, turn_id in ((BOB, lease.turn_id), (ANN, uuid.uuid4())):
        with pytest.raises(NotFoundError):
            shown(database, person, turn_id)
