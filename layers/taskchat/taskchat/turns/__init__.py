"""The durable turn: begin, record a step, finish, interrupt."""

from taskchat.turns.records import FinishedTurn, Lease, Reply, StartedTurn, TurnRequest, Usage
from taskchat.turns.transitions import LONGEST_LEASE_SECONDS, begin, cancel, finish, interrupt, record_step, recorded

__all__ = [
    "LONGEST_LEASE_SECONDS",
    "FinishedTurn",
    "Lease",
    "Reply",
    "StartedTurn",
    "TurnRequest",
    "Usage",
    "begin",
    "cancel",
    "finish",
    "interrupt",
    "record_step",
    "recorded",
]
