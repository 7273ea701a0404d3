"""The agent: a model that works with tools until it has an answer."""

from taskchat.agent.loop import run
from taskchat.agent.model import ChatMessage, Completion, Model
from taskchat.agent.prompt import system_prompt
from taskchat.agent.transcript import step, transcript

__all__ = [
    "ChatMessage",
    "Completion",
    "Model",
    "run",
    "step",
    "system_prompt",
    "transcript",
]
