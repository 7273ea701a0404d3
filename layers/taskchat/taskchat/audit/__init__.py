"""Tool calls made without the agent, by programs of the person, with the same audit trail as the agent's."""

from taskchat.audit.client_calls import Client, run_tool

__all__ = ["Client", "run_tool"]
