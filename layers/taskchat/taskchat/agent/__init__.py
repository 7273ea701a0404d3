"""The agent: a model that works with tools until it has an answer."""

from taskchat.agent.loop import SHORTEST_MODEL_CALL_SECONDS, Question, Step, function_tools, run
from taskchat.agent.openai_provider import OpenAIProvider
from taskchat.agent.prompt import time_context
from taskchat.agent.provider import (
    Completion,
    ContentRefusedError,
    Prompt,
    PromptTooLongError,
    Provider,
    Usage,
)
from taskchat.agent.provider_settings import Api, ProviderSettings
from taskchat.agent.transcript import Recorded, RecordedStep

__all__ = [
    "SHORTEST_MODEL_CALL_SECONDS",
    "Api",
    "Completion",
    "ContentRefusedError",
    "OpenAIProvider",
    "Prompt",
    "PromptTooLongError",
    "Provider",
    "ProviderSettings",
    "Question",
    "Recorded",
    "RecordedStep",
    "Step",
    "Usage",
    "function_tools",
    "run",
    "time_context",
]
