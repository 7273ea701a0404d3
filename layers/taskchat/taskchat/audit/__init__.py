"""Tool calls made without the agent, by programs of the person, and undo, with the same audit trail as the agent's."""

from taskchat.audit.client_calls import Client, run_tool
from taskchat.audit.undo import UndoneTurn, undo_turn

__all__ = ["Client", "UndoneTurn", "run_tool", "undo_turn"]
