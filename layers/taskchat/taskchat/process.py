"""The chat of this process: over its database, its provider and its queue, as the settings name them."""

from functools import lru_cache
from importlib import import_module

from taskchat.agent import Api, OpenAIProvider, Provider, ProviderSettings
from taskchat.chat import Chat
from taskchat.database import database
from taskchat.queue import SqsQueue
from taskchat.settings import settings


def provider_settings() -> ProviderSettings:
    """Return the model's provider from the settings."""
    known = settings()
    return ProviderSettings(
        api_key=known.resolve_openai_api_key(),
        base_url=known.openai_base_url,
        model=known.openai_model,
        api=Api(known.openai_api) if known.openai_api else None,
        reasoning_effort=known.openai_reasoning_effort,
        max_output_tokens=known.openai_max_output_tokens,
    )


provider = OpenAIProvider(provider_settings)
"""The model's provider. This process keeps its connection to it."""


@lru_cache(maxsize=1)
def turn_queue() -> SqsQueue | None:
    """Return the queue of turns, or None if the settings name none: a turn that stops is then left to its client."""
    url = settings().turn_queue_url
    return SqsQueue(url) if url else None


def chat(model: Provider) -> Chat:
    """Return the chat over this process's database and queue, and a model."""
    known = settings()
    return Chat(
        database(),
        model,
        known.model_timeout_seconds,
        known.history_messages,
        known.history_tokens,
        turn_queue(),
        known.limits,
    )


def import_queue_sdk() -> None:
    """Import the AWS SDK if a queue is named; no credential is requested, because those in a snapshot would expire."""
    if settings().turn_queue_url:
        import_module("boto3")
