"""What a turn says to the database. `transitions` says when, and what each of these means."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, exists, func, insert, literal, select, update
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from taskchat.models import Conversation, Message, Role, Turn, TurnStatus, User, utc_now
from taskchat.statements import Together, given

Id = ColumnElement[Any]
"""The id of another row: one that is given, or that of a write before, and then null where it wrote nothing."""

# The tables and not the classes: a statement of the ORM takes longer to make, and to run.
_conversations = Conversation.metadata.tables["conversations"]
_messages = Message.metadata.tables["messages"]
_turns = Turn.metadata.tables["turns"]
_users = User.metadata.tables["users"]

_conversation_id = given(_conversations.c.id, "conversation_id")
_is_this_turn = _turns.c.id == given(_turns.c.id, "turn_id")
_is_held = (
    _is_this_turn,
    _turns.c.status == TurnStatus.RUNNING,
    _turns.c.attempt == given(_turns.c.attempt),
    _turns.c.lease_expires_at == given(_turns.c.lease_expires_at, "held_until"),
)
_extended = {
    "lease_expires_at": given(_turns.c.lease_expires_at, "extended_until"),
    # Added to what earlier calls, and earlier attempts, have cost.
    "input_tokens": func.coalesce(_turns.c.input_tokens, 0) + given(_turns.c.input_tokens),
    "output_tokens": func.coalesce(_turns.c.output_tokens, 0) + given(_turns.c.output_tokens),
    "model": func.coalesce(given(_turns.c.model), _turns.c.model),
}
_finished = {"status": TurnStatus.FINISHED, "finished_at": utc_now()}


def _insert(table: Table, row: Mapping[str, Id], condition: ColumnElement[bool]) -> ReturningInsert[Any]:
    selected = select(*row.values()).where(condition)
    return insert(table).from_select(list(row), selected, include_defaults=False).returning(table.c.id)


def _insert_owner() -> ReturningInsert[Any]:
    """Insert the person, where this is their first conversation."""
    user_id = given(_users.c.id, "user_id")
    row = {"id": user_id, "subject": given(_users.c.subject), "email": given(_users.c.email)}
    return _insert(_users, row, ~exists().where(_users.c.id == user_id))


def _insert_conversation(_owner_id: Id) -> ReturningInsert[Any]:
    row = {"user_id": given(_conversations.c.user_id), "title": given(_conversations.c.title)}
    return insert(_conversations).values(row).returning(_conversations.c.id)


def _turn(conversation_id: Id) -> Mapping[str, Id]:
    return {
        "id": given(_turns.c.id, "turn_id"),
        "conversation_id": conversation_id,
        "user_id": given(_turns.c.user_id),
        "idempotency_key": given(_turns.c.idempotency_key),
        "request_hash": given(_turns.c.request_hash),
        "status": literal(TurnStatus.RUNNING, _turns.c.status.type),
        "attempt": literal(1),
        "lease_expires_at": given(_turns.c.lease_expires_at),
    }


def _message(role: Role, conversation_id: Id) -> Mapping[str, Id]:
    return {
        "conversation_id": conversation_id,
        "turn_id": given(_turns.c.id, "turn_id"),
        "role": literal(role, _messages.c.role.type),
        "content": given(_messages.c.content),
    }


def _insert_first_turn(_owner_id: Id, conversation_id: Id) -> ReturningInsert[Any]:
    return insert(_turns).values(_turn(conversation_id)).returning(_turns.c.id)


def _insert_first_message(_owner_id: Id, conversation_id: Id, _turn_id: Id) -> ReturningInsert[Any]:
    return insert(_messages).values(_message(Role.USER, conversation_id)).returning(_messages.c.id)


def _insert_turn_in_own_conversation() -> ReturningInsert[Any]:
    """Insert the turn below the person's conversation; below anybody else's, none."""
    user_id = given(_conversations.c.user_id)
    is_own = exists().where(_conversations.c.id == _conversation_id, _conversations.c.user_id == user_id)
    return _insert(_turns, _turn(_conversation_id), is_own)


def _insert_message_of_turn(turn_id: Id) -> ReturningInsert[Any]:
    """Insert the person's message, if the write before inserted the turn."""
    return _insert(_messages, _message(Role.USER, _conversation_id), turn_id.is_not(None))


def _change_held_turn(values: Mapping[str, Any]) -> ReturningUpdate[Any]:
    """Change the turn, if the lease holds, and return its conversation."""
    return update(_turns).where(*_is_held).values(values).returning(_turns.c.conversation_id)


def _append_reply(conversation_id: Id, **columns: Id) -> ReturningInsert[Any]:
    """Insert a message of the assistant. Where the turn was not met there is no conversation, and it is refused."""
    row = {**_message(Role.ASSISTANT, conversation_id), **columns}
    return insert(_messages).values(row).returning(_messages.c.id)


def _touch_conversation(conversation_id: Id, _message_id: Id) -> ReturningUpdate[Any]:
    touched = update(_conversations).where(_conversations.c.id == conversation_id)
    return touched.values(updated_at=utc_now()).returning(_conversations.c.id)


OPEN_CONVERSATION = Together(_insert_owner, _insert_conversation)

BEGIN_IN_NEW_CONVERSATION = Together(
    _insert_owner,
    _insert_conversation,
    _insert_first_turn,
    _insert_first_message,
)

BEGIN = Together(
    _insert_turn_in_own_conversation,
    _insert_message_of_turn,
)

RECORD_STEP = Together(
    lambda: _change_held_turn(_extended),
    lambda conversation_id: _append_reply(conversation_id, tool_calls=given(_messages.c.tool_calls)),
)

FINISH = Together(
    lambda: _change_held_turn(_extended | _finished),
    _append_reply,
    _touch_conversation,
)

INTERRUPT = update(_turns).where(*_is_held).values(status=given(_turns.c.status), error=given(_turns.c.error))

FIND_HELD = select(_turns.c.id).where(*_is_held)

FIND_BY_LEASE = select(_turns.c.id).where(
    _is_this_turn,
    _turns.c.attempt == given(_turns.c.attempt),
    _turns.c.lease_expires_at == given(_turns.c.lease_expires_at),
)

FIND_BY_KEY = (
    select(
        _turns.c.id,
        _turns.c.conversation_id,
        _turns.c.request_hash,
        _turns.c.status,
        _turns.c.attempt,
        _turns.c.lease_expires_at,
        _turns.c.created_at,
    )
    .where(
        _turns.c.user_id == given(_turns.c.user_id),
        _turns.c.idempotency_key == given(_turns.c.idempotency_key),
    )
    .with_for_update()
)

_newer = _turns.alias()
TAKE_OVER = (
    update(_turns)
    .where(
        _is_this_turn,
        _turns.c.status != TurnStatus.ABANDONED,
        # Its model has read this turn's message already. The look for it is part of the write; one that begins
        # meanwhile meets the index of running turns.
        ~exists().where(
            _newer.c.conversation_id == given(_turns.c.conversation_id),
            # SQLite's clock counts milliseconds: of two turns in one of them, neither may go on.
            _newer.c.created_at >= given(_turns.c.created_at),
            _newer.c.id != given(_turns.c.id, "turn_id"),
        ),
    )
    .values(
        status=TurnStatus.RUNNING,
        attempt=given(_turns.c.attempt),
        lease_expires_at=given(_turns.c.lease_expires_at),
        error=None,
    )
    .returning(_turns.c.id)
)

FIND_RUNNING = (
    select(_turns.c.id, _turns.c.lease_expires_at)
    .where(
        _turns.c.conversation_id == given(_turns.c.conversation_id),
        _turns.c.user_id == given(_turns.c.user_id),
        _turns.c.status == TurnStatus.RUNNING,
    )
    .with_for_update()
)

ABANDON = update(_turns).where(_is_this_turn, _turns.c.status == TurnStatus.RUNNING).values(status=TurnStatus.ABANDONED)

REPLIES = (
    select(_messages.c.id, _messages.c.content, _messages.c.tool_calls)
    .where(_messages.c.turn_id == given(_messages.c.turn_id), _messages.c.role == Role.ASSISTANT)
    .order_by(_messages.c.id)
)
