"""Tool calls made without the agent, by programs of the person, and undo, with the same audit trail as the agent's."""

from taskchat.audit.client_calls import Channel, Client, RecordedCalls, run_calls, run_tool
from taskchat.audit.undo import UndoneTurn, undo_turn

__all__ = ["Channel", "Client", "RecordedCalls", "UndoneTurn", "run_calls", "run_tool", "undo_turn"]
