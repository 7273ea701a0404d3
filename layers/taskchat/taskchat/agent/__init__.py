"""The agent: a model that works with tools until it has an answer."""

from taskchat.agent.loop import run
from taskchat.agent.model import ChatMessage, Completion, Model
from taskchat.agent.prompt import system_prompt
from taskchat.agent.transcript import step, transcript
from taskchat.tools import call as call_tool

__all__ = [
    "ChatMessage",
    "Completion",
    "Model",
    "call_tool",
    "run",
    "step",
    "system_prompt",
    "transcript",
]
