"""The durable turn and its transitions."""

from taskchat.turns.background import MOST_IDLE_ATTEMPTS, forget_old_keys, take, unfinished
from taskchat.turns.beginning import accept, begin
from taskchat.turns.records import (
    LONGEST_LEASE_SECONDS,
    AcceptedTurn,
    FinishedTurn,
    Lease,
    Reply,
    StartedTurn,
    TakenTurn,
    TurnRecord,
    TurnRequest,
    Usage,
)
from taskchat.turns.resource import get
from taskchat.turns.transitions import cancel, finish, interrupt, record_step, recorded

__all__ = [
    "LONGEST_LEASE_SECONDS",
    "MOST_IDLE_ATTEMPTS",
    "AcceptedTurn",
    "FinishedTurn",
    "Lease",
    "Reply",
    "StartedTurn",
    "TakenTurn",
    "TurnRecord",
    "TurnRequest",
    "Usage",
    "accept",
    "begin",
    "cancel",
    "finish",
    "forget_old_keys",
    "get",
    "interrupt",
    "record_step",
    "recorded",
    "take",
    "unfinished",
]
