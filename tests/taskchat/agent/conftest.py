"""Providers of the agent, connected to a scripted one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from taskchat.agent import OpenAIProvider, ProviderSettings
from tests.support.scripted_model import ScriptedModel

Connect = Callable[..., OpenAIProvider]


@pytest.fixture
def connect(scripted_model: ScriptedModel) -> Iterator[Connect]:
    """Return a maker of providers, one for each process that a test plays."""
    with ExitStack() as stack:

        def make(**settings: Any) -> OpenAIProvider:
            chosen = ProviderSettings("sk-very-secret-key", scripted_model.base_url, "scripted", **settings)
            return stack.enter_context(closing(OpenAIProvider(lambda: chosen)))

        yield make
