"""The transitions of a turn, each on its own; `tests/taskchat/test_chat.py` runs them together."""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select, text
from sqlmodel import col

from taskchat import turns
from taskchat.database import Database
from taskchat.errors import (
    ConversationBusyError,
    DatabaseUnavailableError,
    IdempotencyKeyReusedError,
    NotFoundError,
    TurnInProgressError,
    TurnSupersededError,
)
from taskchat.models import Conversation, Role, TurnStatus
from taskchat.turns import AlreadyBegunError, FinishedTurn, Lease
from tests.taskchat.turns.transitions import (
    ANN,
    BOB,
    CALL,
    about_to_finish,
    begin,
    finish,
    interrupt,
    last_activity,
    let_the_lease_run_out,
    read_contents,
    record_step,
    resume,
    stored_messages,
    stored_turn,
    turn_request,
)


def test_a_new_turn_makes_its_conversation_and_keeps_the_message(database: Database) -> None:
    request = turn_request()
    lease = begin(database, request)
    turn = stored_turn(database, request.turn_id)
    assert (turn.status, turn.attempt, turn.user_id) == (TurnStatus.RUNNING, 1, ANN)
    assert turn.lease_expires_at == lease.expires_at
    assert stored_messages(database) == [(Role.USER, "Buy milk", None)]
    title = database.transaction(lambda connection: connection.execute(select(col(Conversation.title))).scalar_one())
    assert title == "Buy milk"


def test_a_conversation_of_somebody_else_is_not_found_and_nothing_is_written(database: Database) -> None:
    lease = begin(database, turn_request())
    finish(database, lease, lease.extended(30))
    for conversation_id in (lease.conversation_id, 10**15):
        with pytest.raises(NotFoundError, match=r"^There is no such conversation\.$"):
            begin(database, turn_request("other", conversation_id, BOB))
    assert len(stored_messages(database)) == 2


def test_the_steps_and_the_reply_are_appended_and_their_cost_is_added_up(database: Database) -> None:
    held = begin(database, turn_request())
    extended = held.extended(30)
    record_step(database, held, extended)
    last = extended.extended(30)
    message_id = finish(database, extended, last)
    turn = stored_turn(database, held.turn_id)
    assert (turn.status, turn.model, turn.input_tokens, turn.output_tokens) == (TurnStatus.FINISHED, "scripted", 30, 3)
    assert turn.finished_at is not None
    assert stored_messages(database) == [
        (Role.USER, "Buy milk", None),
        (Role.ASSISTANT, "", [CALL]),
        (Role.ASSISTANT, "Done.", None),
    ]
    replies = database.transaction(lambda connection: turns.recorded(connection, extended, last))
    assert replies is not None
    assert replies[-1].message_id == message_id


def test_finishing_touches_the_conversation(database: Database) -> None:
    held = begin(database, turn_request())
    before = last_activity(database)
    finish(database, held, held.extended(30))
    assert last_activity(database) > before


def test_a_key_cannot_be_begun_twice(database: Database) -> None:
    begin(database, turn_request())
    with pytest.raises(AlreadyBegunError):
        begin(database, turn_request())
    assert len(stored_messages(database)) == 1


def test_the_same_key_of_another_person_is_another_turn(database: Database) -> None:
    begin(database, turn_request(user_id=ANN))
    begin(database, turn_request(user_id=BOB))
    assert len(stored_messages(database)) == 2


def test_a_conversation_has_one_running_turn(database: Database) -> None:
    lease = begin(database, turn_request())
    second = turn_request("second", lease.conversation_id)
    with pytest.raises(AlreadyBegunError):
        begin(database, second)
    with pytest.raises(ConversationBusyError) as busy:
        resume(database, second)
    assert 1 <= busy.value.retry_after_seconds <= 30


def test_a_finished_turn_is_found_with_all_its_replies(database: Database) -> None:
    held = begin(database, turn_request())
    extended = held.extended(30)
    record_step(database, held, extended)
    message_id = finish(database, extended, extended.extended(30))
    found = resume(database, turn_request())
    assert isinstance(found, FinishedTurn)
    assert found.conversation_id == held.conversation_id
    assert [reply.content for reply in found.replies] == ["", "Done."]
    assert found.replies[-1].message_id == message_id


def test_a_live_lease_is_respected(database: Database) -> None:
    begin(database, turn_request())
    with pytest.raises(TurnInProgressError) as in_progress:
        resume(database, turn_request())
    assert 1 <= in_progress.value.retry_after_seconds <= 30


def test_a_begin_whose_answer_was_lost_is_taken_up_by_the_same_invocation(database: Database) -> None:
    request = turn_request()
    begin(database, request)
    lease, steps = resume(database, request)
    assert (lease.attempt, steps) == (2, [])


@pytest.mark.parametrize("end", ["lease run out", TurnStatus.INTERRUPTED, TurnStatus.FAILED])
def test_a_turn_that_stopped_goes_on_with_its_recorded_steps(database: Database, end: str) -> None:
    held = begin(database, turn_request())
    extended = held.extended(30)
    record_step(database, held, extended)
    if end == "lease run out":
        let_the_lease_run_out(database, extended)
    else:
        interrupt(database, extended, is_permanent=end is TurnStatus.FAILED)
        turn = stored_turn(database, extended.turn_id)
        assert (turn.status, turn.error) == (end, "the model failed")
    lease, steps = resume(database, turn_request())
    assert lease.attempt == 2
    assert [step.tool_calls for step in steps] == [[CALL]]
    finish(database, lease, lease.extended(30))
    assert len(stored_messages(database)) == 3
    assert stored_turn(database, lease.turn_id).error is None


def test_a_key_with_another_request_is_refused(database: Database) -> None:
    begin(database, turn_request())
    with pytest.raises(IdempotencyKeyReusedError):
        resume(database, replace(turn_request(), request_hash="another"))


def test_a_stale_turn_is_abandoned_by_the_next_message_and_cannot_come_back(database: Database) -> None:
    lease = begin(database, turn_request())
    let_the_lease_run_out(database, lease)
    second = turn_request("second", lease.conversation_id)
    assert resume(database, second) is None
    begin(database, second)
    assert stored_turn(database, lease.turn_id).status is TurnStatus.ABANDONED
    with pytest.raises(TurnSupersededError):
        resume(database, turn_request())


def test_an_interrupted_turn_is_superseded_by_a_newer_one(database: Database) -> None:
    first = begin(database, turn_request())
    interrupt(database, first)
    second = begin(database, turn_request("second", first.conversation_id))
    with pytest.raises(TurnSupersededError):
        resume(database, turn_request())
    finish(database, second, second.extended(30))
    with pytest.raises(TurnSupersededError):
        resume(database, turn_request())


def test_whoever_lost_the_lease_writes_nothing(database: Database) -> None:
    late = let_the_lease_run_out(database, begin(database, turn_request()))
    lease, _ = resume(database, turn_request())
    before = last_activity(database)
    with pytest.raises(TurnSupersededError):
        record_step(database, late, late.extended(30))
    with pytest.raises(TurnSupersededError):
        finish(database, late, late.extended(30))
    interrupt(database, late)
    assert len(stored_messages(database)) == 1
    assert last_activity(database) == before
    turn = stored_turn(database, lease.turn_id)
    assert (turn.status, turn.attempt, turn.lease_expires_at) == (TurnStatus.RUNNING, 2, lease.expires_at)


def test_a_write_repeated_after_its_answer_was_lost_is_recognised(database: Database) -> None:
    held = begin(database, turn_request())
    extended = held.extended(30)
    record_step(database, held, extended)
    [step] = record_step(database, held, extended)
    last = extended.extended(30)
    message_id = finish(database, extended, last)
    [_, reply] = finish(database, extended, last)
    assert step.tool_calls == [CALL]
    assert reply.message_id == message_id
    assert len(stored_messages(database)) == 3


def test_a_write_that_is_refused_for_itself_is_told_from_a_lost_lease(database: Database) -> None:
    held = begin(database, turn_request())
    assert database.transaction(lambda connection: turns.recorded(connection, held, held.extended(30))) is None


def test_a_turn_whose_conversation_was_deleted_is_superseded(database: Database) -> None:
    lease = begin(database, turn_request())
    gone = Conversation.__table__.delete()  # type: ignore[attr-defined]
    database.transaction(lambda connection: connection.execute(gone))
    with pytest.raises(TurnSupersededError):
        record_step(database, lease, lease.extended(30))
    with pytest.raises(TurnSupersededError):
        finish(database, lease, lease.extended(30))
    assert stored_messages(database) == []


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_turn_that_waited_for_the_end_of_the_one_before_it_reads_its_reply(
    database: Database, database_url: str
) -> None:
    held = begin(database, turn_request("first"))
    next_request = turn_request("next", held.conversation_id)

    def begin_the_next(connection: Connection) -> tuple[Lease, Sequence[str]]:
        return turns.begin(connection, next_request, turns.lease_end(30), read_contents)

    with about_to_finish(database_url, held) as connection, ThreadPoolExecutor() as pool:
        waiting = pool.submit(database.transaction, begin_the_next)
        while not connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
            assert not waiting.done()
        connection.commit()
        _, history = waiting.result()

    assert history == ["Buy milk", "Done.", "Buy milk"]


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_begin_that_was_given_up_on_and_committed_later_goes_on_when_its_lease_is_over(
    database: Database, database_url: str
) -> None:
    held = begin(database, turn_request("first"))
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

    repeated = replace(next_request, turn_id=uuid.uuid4())
    with pytest.raises(TurnInProgressError):
        resume(database, repeated)
    let_the_lease_run_out(database, Lease(next_request.turn_id, held.conversation_id, 1, held.expires_at))
    lease, _ = resume(database, repeated)
    assert (lease.turn_id, lease.attempt) == (next_request.turn_id, 2)


def test_a_lease_always_runs_out_later_than_the_one_before(database: Database) -> None:
    lease = begin(database, turn_request(), lease_seconds=60)
    assert lease.extended(0).expires_at > lease.expires_at
