"""A chat over a real database and a scripted model, the openai SDK between them."""

import uuid
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pytest

from taskchat.agent import OpenAIProvider, ProviderSettings
from taskchat.chat import Chat, ChatRequest
from taskchat.database import Database
from taskchat.principal import Principal
from tests.support.scripted_model import ScriptedModel

ANN = Principal(uuid.UUID(int=1), "https://issuer.example ann")


@pytest.fixture
def scripted_model() -> Iterator[ScriptedModel]:
    """Return a provider that answers what the test scripts."""
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def provider(scripted_model: ScriptedModel) -> Iterator[OpenAIProvider]:
    """Return the provider as the agent knows it, connected to the scripted one."""
    provider = OpenAIProvider(lambda: ProviderSettings("key", scripted_model.base_url, "scripted"))
    yield provider
    provider.close()


@pytest.fixture
def chat_over(provider: OpenAIProvider) -> Callable[[Database], Chat]:
    """Return a maker of chats, one for each process that a test plays."""
    return lambda database: Chat(
        database, provider, model_timeout_seconds=5.0, history_messages=50, history_tokens=8_000
    )


@pytest.fixture
def chat(chat_over: Callable[[Database], Chat], database: Database) -> Chat:
    """Return a chat over the test's database."""
    return chat_over(database)


def request_of(key: str = "key", message: str = "Add milk", conversation_id: int | None = None) -> ChatRequest:
    """Return Ann's message under an idempotency key."""
    return ChatRequest(
        principal=ANN,
        idempotency_key=key,
        message=message,
        conversation_id=conversation_id,
        time_zone=ZoneInfo("Europe/Berlin"),
    )
