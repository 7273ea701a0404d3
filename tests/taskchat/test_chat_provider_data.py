"""A provider's own data is stored as long as the provider needs it, and shown to nobody."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from taskchat.agent import Api, OpenAIProvider, ProviderSettings
from taskchat.chat import Chat
from taskchat.database import Database
from taskchat.errors import ModelFailedError
from taskchat.models import Message, Role, Turn, TurnStatus
from tests.support.leases import let_every_lease_run_out
from tests.support.owner import as_owner
from tests.support.scripted_model import Answer, ReceivedRequest, ScriptedModel, Usage, calls, says, status
from tests.taskchat.conftest import request_of
from tests.taskchat.test_chat import plenty, read

MILK = ("create_task", {"title": "Milk"})


@pytest.fixture
def process(database: Database, scripted_model: ScriptedModel) -> Iterator[Callable[[Api], Chat]]:
    """Return a maker of processes that share nothing but the database."""
    with ExitStack() as stack:

        def start(api: Api) -> Chat:
            settings = ProviderSettings("key", scripted_model.base_url, "scripted", api)
            provider = stack.enter_context(closing(OpenAIProvider(lambda: settings)))
            return Chat(database, provider, model_timeout_seconds=5.0, history_messages=50, history_tokens=8_000)

        yield start


def reasoning_of(request: ReceivedRequest) -> list[str]:
    return [item["encrypted_content"] for item in request.input if item.get("type") == "reasoning"]


def turn(database: Database, *columns: Any) -> Any:
    return as_owner(database, lambda connection: connection.execute(select(*columns)).one())


def test_another_process_goes_on_with_the_reasoning(
    process: Callable[[Api], Chat], database: Database, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(calls(MILK, reasoning=("one",)), *[status(500)] * 2)
    with pytest.raises(ModelFailedError):
        process(Api.RESPONSES).answer(request_of(), plenty)
    (state,) = read(database, col(Turn.provider_state))
    assert state["steps"][0][0]["encrypted_content"] == "one"

    scripted_model.script(calls(MILK, reasoning=("two",)), says("Added."))
    assert process(Api.RESPONSES).answer(request_of(), plenty).response == "Added."
    assert [reasoning_of(request) for request in scripted_model.requests[-2:]] == [["one"], ["one", "two"]]
    assert turn(database, col(Turn.status), col(Turn.provider_state)) == (TurnStatus.FINISHED, None)


@pytest.mark.parametrize("number", [400, 401])
def test_a_turn_that_failed_keeps_no_reasoning(
    process: Callable[[Api], Chat], database: Database, scripted_model: ScriptedModel, number: int
) -> None:
    scripted_model.script(calls(MILK, reasoning=("one",)), status(number))
    with pytest.raises(ModelFailedError):
        process(Api.RESPONSES).answer(request_of(), plenty)
    assert turn(database, col(Turn.status), col(Turn.provider_state)) == (TurnStatus.FAILED, None)


def test_a_turn_that_was_abandoned_keeps_no_reasoning(
    process: Callable[[Api], Chat], database: Database, scripted_model: ScriptedModel
) -> None:
    chat = process(Api.RESPONSES)
    scripted_model.script(says("Hello."))
    conversation_id = chat.answer(request_of("first"), plenty).conversation_id

    def answer_a_newer_message(_request: ReceivedRequest) -> Answer:
        let_every_lease_run_out(database)
        scripted_model.script(says("Newer."))
        process(Api.RESPONSES).answer(request_of("newer", "Newer", conversation_id), plenty)
        return status(401)

    scripted_model.script(calls(MILK, reasoning=("one",)), answer_a_newer_message)
    with pytest.raises(ModelFailedError):
        chat.answer(request_of("stale", "Stale", conversation_id), plenty)
    assert read(database, col(Turn.provider_state)) == [None] * 3


def test_what_a_provider_wants_later_is_kept_with_the_message(
    process: Callable[[Api], Chat], database: Database, scripted_model: ScriptedModel
) -> None:
    signature = {"extra_content": {"google": {"thought_signature": "signature"}}}
    fields = {"reasoning_content": "Thinking."}
    scripted_model.script(calls(MILK, call_fields=signature, message_fields=fields), says("Added."), says("Bye."))
    conversation_id = process(Api.CHAT_COMPLETIONS).answer(request_of(), plenty).conversation_id
    process(Api.CHAT_COMPLETIONS).answer(request_of("later", "Bye", conversation_id), plenty)
    step = scripted_model.requests[-1].messages[2]
    assert step["tool_calls"][0]["extra_content"] == signature["extra_content"]
    assert step["reasoning_content"] == "Thinking."
    (calls_of_the_step,) = [stored for stored in read(database, col(Message.tool_calls)) if stored]
    assert calls_of_the_step[0].keys() == {"id", "tool", "arguments", "result", "before", "after", "timestamp"}


def test_a_message_is_shown_with_the_time_of_its_turn(
    process: Callable[[Api], Chat], database: Database, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(*[status(500)] * 2, says("Hello."), says("Bye."))
    with pytest.raises(ModelFailedError):
        process(Api.CHAT_COMPLETIONS).answer(request_of(), plenty)
    conversation_id = process(Api.CHAT_COMPLETIONS).answer(request_of(), plenty).conversation_id
    process(Api.CHAT_COMPLETIONS).answer(request_of("later", "Bye", conversation_id), plenty)
    shown = {request.messages[1]["content"] for request in scripted_model.requests}
    assert len(shown) == 1
    assert shown.pop().endswith("\n\nAdd milk")
    contexts = as_owner(
        database,
        lambda connection: connection.execute(
            select(col(Message.model_context)).where(col(Message.role) == Role.USER)
        ).scalars(),
    )
    assert all(context["zone"] == "Europe/Berlin" for context in contexts)


@pytest.mark.parametrize("api", Api)
def test_tokens_of_all_four_kinds_add_up_over_a_turn(
    process: Callable[[Api], Chat], database: Database, scripted_model: ScriptedModel, api: Api
) -> None:
    usage = Usage(prompt_tokens=100, completion_tokens=20, cached_tokens=64, reasoning_tokens=8)
    scripted_model.script(calls(MILK, usage=usage), says("Added.", usage=usage))
    process(api).answer(request_of(), plenty)
    counted = turn(
        database, col(Turn.input_tokens), col(Turn.cached_tokens), col(Turn.output_tokens), col(Turn.reasoning_tokens)
    )
    assert counted == (200, 128, 40, 16)
