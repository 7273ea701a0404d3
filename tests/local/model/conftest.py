"""The offline model on a real socket, and the SDK that the agent uses."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from local.model.server import offline_model
from tests.local.model.dialogue import Dialogue


@pytest.fixture
def client() -> Iterator[OpenAI]:
    with (
        offline_model() as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="offline", max_retries=0, timeout=10) as sdk,
    ):
        yield sdk


@pytest.fixture
def dialogue(client: OpenAI) -> Dialogue:
    return Dialogue(client)
