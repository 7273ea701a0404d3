"""Undo: the inverse of what a turn changed, computed from the audit trail."""

from taskchat.undo.records import as_calls, record
from taskchat.undo.reversal import LockedTurn, Undone, has_changes, last_changing_turn, lock, require_ended, take_back

__all__ = [
    "LockedTurn",
    "Undone",
    "as_calls",
    "has_changes",
    "last_changing_turn",
    "lock",
    "record",
    "require_ended",
    "take_back",
]
