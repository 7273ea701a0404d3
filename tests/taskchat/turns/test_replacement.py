"""The row of a turn that is replaced, and the turns beside it."""

from dataclasses import replace

import pytest

from taskchat.database import Database
from taskchat.errors import ConversationBusyError
from taskchat.models import TurnStatus
from taskchat.turns import LONGEST_LEASE_SECONDS, Lease, TurnRequest
from tests.taskchat.turns.transitions import (
    begin,
    change_turn,
    finish,
    interrupt,
    let_the_lease_expire,
    started,
    stored_turn,
    turn_request,
)


def edit_of(lease: Lease) -> TurnRequest:
    return replace(turn_request("edit", lease.conversation_id), replaces_turn_id=lease.turn_id)


def test_a_replaced_turn_ends_and_forgets_its_model(database: Database) -> None:
    other = started(database, turn_request("other"))
    lease = started(database)
    change_turn(database, lease.turn_id, provider_state={"items": []})
    interrupt(database, lease)
    begin(database, edit_of(lease))
    turn = stored_turn(database, lease.turn_id)
    assert (turn.status, turn.provider_state) == (TurnStatus.REPLACED, None)
    assert turn.finished_at is not None
    assert stored_turn(database, other.turn_id).status is TurnStatus.RUNNING


def test_a_finished_turn_that_is_replaced_keeps_its_end(database: Database) -> None:
    lease = started(database)
    finish(database, lease)
    finished_at = stored_turn(database, lease.turn_id).finished_at
    begin(database, edit_of(lease))
    assert stored_turn(database, lease.turn_id).finished_at == finished_at


def test_a_turn_whose_lease_expired_can_be_replaced(database: Database) -> None:
    lease = started(database)
    with pytest.raises(ConversationBusyError) as busy:
        begin(database, edit_of(lease))
    assert 0 < busy.value.retry_after_seconds <= LONGEST_LEASE_SECONDS
    let_the_lease_expire(database, lease)
    begin(database, edit_of(lease))
    assert stored_turn(database, lease.turn_id).status is TurnStatus.REPLACED
