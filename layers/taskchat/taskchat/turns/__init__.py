"""The durable turn: begin, record a step, finish; interrupt and resume."""

from taskchat.turns.records import (
    AlreadyBegunError,
    FinishedTurn,
    Lease,
    Reply,
    Transaction,
    TurnRequest,
    Usage,
    lease_end,
)
from taskchat.turns.transitions import begin, finish, interrupt, open_conversation, record_step, recorded, resume

__all__ = [
    "AlreadyBegunError",
    "FinishedTurn",
    "Lease",
    "Reply",
    "Transaction",
    "TurnRequest",
    "Usage",
    "begin",
    "finish",
    "interrupt",
    "lease_end",
    "open_conversation",
    "record_step",
    "recorded",
    "resume",
]
