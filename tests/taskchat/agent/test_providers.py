"""Providers one by one: each takes a conversation that others have begun, and its own continuation of it."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from taskchat.agent import Api
from tests.support import picky_providers as rules
from tests.support.agent_turns import Conversation, ProcessDiedError, Recorded
from tests.support.picky_providers import Rule, picky
from tests.support.scripted_model import ScriptedModel, Usage, calls, raw, says
from tests.support.strict_transcripts import check_chat_messages
from tests.taskchat.agent.conftest import Connect

MILK = ("create_task", {"title": "Milk"})
FROM_ELSEWHERE = [
    Recorded("user", "Claude called create_task."),
    Recorded(
        "assistant",
        "",
        [{"id": "0193c5a2-7c1e-7d4e-9a53-0d5f7d0c1a11", "tool": "create_task", "arguments": {}, "result": {"id": 1}}],
    ),
    Recorded("user", "What is there?", None, {"now": "2026-11-24T09:00+01:00", "zone": "Europe/Berlin"}),
    Recorded(
        "assistant",
        "",
        [
            {"id": "call_a", "tool": "list_tasks", "arguments": {}, "result": {"tasks": []}},
            {"id": "call_a", "tool": "made up!", "arguments": {}, "error": {"code": "unknown-tool", "message": "No."}},
        ],
        {"origin": "api.openai.com gpt-5-mini", "reasoning_content": "Another provider's thoughts."},
    ),
    Recorded("user", "Are you there?"),
    Recorded("user", "Hello?"),
]


@dataclass(frozen=True)
class Row:
    """A provider: the rules by which it refuses, what its answers carry, and how many requests it may refuse."""

    name: str
    rules: tuple[Rule, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    refusals: int = 0


PROVIDERS = [
    Row("OpenAI, Responses", (rules.openai_responses,), {"api": Api.RESPONSES}, {"reasoning": ("secret",)}),
    Row("OpenAI, Chat Completions", (rules.openai_chat,), {"reasoning_effort": "none"}, refusals=1),
    Row("OpenAI's compatible gateway", (rules.openai_chat,), refusals=2),
    Row(
        "OpenAI, a model with Responses only",
        (lambda body: rules.responses_only(body) or rules.openai_responses(body),),
        call={"reasoning": ("secret",)},
        refusals=1,
    ),
    Row("OpenAI, an older model", (rules.refuses_none_effort,), {"reasoning_effort": "none"}, refusals=1),
    Row("Azure OpenAI", (rules.openai_chat,), {"reasoning_effort": "none"}, refusals=1),
    Row(
        "OpenRouter",
        call={
            "message_fields": {"reasoning": "Thinking.", "reasoning_details": [{"type": "reasoning.text", "text": "T"}]}
        },
    ),
    Row("Ollama", call={"content": "", "finish_reason": "stop", "ids": ("call_9fz3k2d1",)}),
    Row("vLLM", (rules.alternating,), call={"ids": ("chatcmpl-tool-0b8c9d6f5e4a4b7c8d9e0f1a2b3c4d5e",)}),
    Row("vLLM, Llama", (rules.alternating, rules.single_calls), refusals=1),
    Row("vLLM, Gemma", (rules.no_system_role, rules.alternating), refusals=1),
    Row("llama.cpp", (rules.alternating,), call={"ids": ("",), "finish_reason": "stop"}),
    Row("LM Studio", (rules.alternating,), call={"ids": ("365174485",)}),
    Row("Groq", (rules.groq,), call={"message_fields": {"reasoning": "Thinking."}}),
    Row("Groq, with a field of others", (rules.groq,), call={"message_fields": {"reasoning_content": "T"}}, refusals=1),
    Row("Mistral", (rules.mistral,), call={"ids": ("aB3dE6gH9",)}),
    Row("Mistral, ids of its gateway", (rules.mistral,), refusals=1),
    Row(
        "Gemini",
        (rules.gemini_schema, rules.gemini),
        call={"call_fields": {"extra_content": {"google": {"thought_signature": "signature"}}}},
        refusals=2,
    ),
    Row(
        "Anthropic's compatible endpoint",
        (rules.alternating,),
        call={"ids": ("toolu_01A09q90qw90lq917835lq9",), "content": "Adding."},
    ),
    Row("DeepSeek", (rules.deepseek,), call={"message_fields": {"reasoning_content": "Thinking."}}, refusals=1),
    Row(
        "Kimi",
        (rules.kimi,),
        call={"message_fields": {"reasoning_content": "Thinking."}, "ids": ("functions.create_task:0",)},
        refusals=1,
    ),
    Row("Bedrock's gateway", (rules.bedrock,), call={"ids": ("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",)}),
    Row(
        "a gateway without output limits",
        (rules.refuses("max_tokens"), rules.refuses("max_completion_tokens")),
        refusals=2,
    ),
]


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: row.name)
def test_a_conversation_goes_on_with_any_provider(
    row: Row, connect: Connect, scripted_model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    turn = calls(MILK, **row.call), says("Added.")
    scripted_model.script(*picky(*turn, *turn, says("Bye."), rules=row.rules))
    conversation = Conversation(history=list(FROM_ELSEWHERE))
    provider = connect(**row.settings)

    assert [conversation.say(provider, "Add milk").content, conversation.say(provider, "Again").content] == [
        "Added."
    ] * 2
    refused = len(scripted_model.requests) - 4
    assert refused == row.refusals == len(caplog.records)
    # Another process learns as much, and no more, from what the first has recorded.
    caplog.clear()
    assert conversation.say(connect(**row.settings), "Bye").content == "Bye."
    assert len(caplog.records) <= row.refusals


def test_nine_calls_of_one_turn_keep_the_tools(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(*picky(*[calls(MILK)] * 8, says("Enough."), rules=(rules.bedrock,)))
    assert Conversation().say(connect(), "Add milk").content == "Enough."
    last = scripted_model.requests[-1]
    assert (bool(last.body["tools"]), last.body["tool_choice"]) == (True, "none")


def test_what_gemini_handed_along_is_sent_back(connect: Connect, scripted_model: ScriptedModel) -> None:
    fields = {"extra_content": {"google": {"thought_signature": "signature"}}}
    scripted_model.script(calls(MILK, MILK, call_fields=fields), says("Added."), says("Bye."))
    conversation, provider = Conversation(), connect()
    conversation.say(provider, "Add milk twice")
    conversation.say(provider, "Bye")
    for request in scripted_model.requests[1:]:
        first, second = request.messages[2]["tool_calls"]
        assert first["extra_content"] == fields["extra_content"]
        assert "extra_content" not in second


def test_another_model_does_not_get_what_one_handed_along(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(calls(MILK, message_fields={"reasoning_content": "T"}), says("Added."), says("Bye."))
    conversation = Conversation()
    conversation.say(connect(), "Add milk")
    conversation.history = [
        Recorded(said.role, said.content, said.tool_calls, said.model_context and {**said.model_context, "origin": "b"})
        for said in conversation.history
    ]
    conversation.say(connect(), "Bye")
    assert "reasoning_content" not in json.dumps(scripted_model.requests[-1].messages)


def test_a_signature_that_fails_is_replaced(connect: Connect, scripted_model: ScriptedModel) -> None:
    invalid = rules.openai_error("Invalid thought signature.")
    fields = {"extra_content": {"google": {"thought_signature": "stale"}}}
    scripted_model.script(calls(MILK, call_fields=fields), says("Added."), invalid, says("Bye."))
    conversation, provider = Conversation(), connect()
    conversation.say(provider, "Add milk")
    conversation.say(provider, "Bye")
    (call,) = scripted_model.requests[-1].messages[2]["tool_calls"]
    assert call["extra_content"]["google"]["thought_signature"] == "skip_thought_signature_validator"


def reasoning_of(request: Any) -> list[str]:
    return [item["encrypted_content"] for item in request.input if item.get("type") == "reasoning"]


def test_reasoning_survives_a_takeover_and_ends_with_the_turn(connect: Connect, scripted_model: ScriptedModel) -> None:
    lost = calls(MILK, reasoning=("lost with the process",))
    scripted_model.script(*picky(calls(MILK, reasoning=("one",)), lost, rules=(rules.openai_responses,)))
    conversation = Conversation()
    with pytest.raises(ProcessDiedError):
        conversation.say(connect(api=Api.RESPONSES), "Add milk twice", dies_after=1)

    scripted_model.requests.clear()
    rest = calls(MILK, reasoning=("two", "three")), says("Added."), says("Bye.")
    scripted_model.replace_script(*picky(*rest, rules=(rules.openai_responses,)))
    other = connect(api=Api.RESPONSES)
    assert conversation.say(other, "Add milk twice").content == "Added."
    conversation.say(other, "Bye")
    assert [reasoning_of(request) for request in scripted_model.requests] == [["one"], ["one", "two", "three"], []]


def test_reasoning_stands_before_the_call_that_it_led_to(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(calls(MILK, reasoning=("one",), content="Adding."), says("Added."))
    Conversation().say(connect(api=Api.RESPONSES), "Add milk")
    kinds = [item.get("type", item.get("role")) for item in scripted_model.requests[-1].input]
    assert kinds == ["user", "reasoning", "assistant", "function_call", "function_call_output"]


def test_items_are_sent_back_in_the_order_of_the_answer(connect: Connect, scripted_model: ScriptedModel) -> None:
    def reasoning(name: str) -> dict[str, Any]:
        return {"type": "reasoning", "id": f"rs_{name}", "summary": [], "encrypted_content": name}

    def call(name: str) -> dict[str, Any]:
        return {"type": "function_call", "call_id": name, "name": "create_task", "arguments": "{}"}

    words = {"type": "message", "content": [{"type": "output_text", "text": "Both."}]}
    output = [reasoning("a"), call("one"), reasoning("b"), words, reasoning("c"), call("two"), reasoning("d")]
    scripted_model.script(raw(json.dumps({"status": "completed", "output": output}).encode()), says("Added."))
    Conversation().say(connect(api=Api.RESPONSES), "Add milk twice")
    sent = [
        item.get("encrypted_content") or item.get("call_id") or item["content"]
        for item in scripted_model.requests[-1].input[1:]
    ]
    # The last reasoning led to nothing, and would be refused.
    assert sent == ["a", "one", "b", "Both.", "c", "two", "one", "two"]


def test_reasoning_that_cannot_be_read_is_left_out(connect: Connect, scripted_model: ScriptedModel) -> None:
    unreadable = rules.openai_error(
        "The encrypted content gAAA could not be verified.", None, "invalid_encrypted_content"
    )
    scripted_model.script(calls(MILK, reasoning=("one",)), unreadable, calls(MILK, reasoning=("two",)), says("Added."))
    assert Conversation().say(connect(api=Api.RESPONSES), "Add milk").content == "Added."
    assert [reasoning_of(request) for request in scripted_model.requests] == [[], ["one"], [], ["two"]]


def test_a_responses_request_is_stateless(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    Conversation().say(connect(api=Api.RESPONSES, reasoning_effort="low", max_output_tokens=512), "Hi")
    body = scripted_model.requests[0].body
    assert (body["store"], body["include"]) == (False, ["reasoning.encrypted_content"])
    assert (body["reasoning"], body["max_output_tokens"]) == ({"effort": "low"}, 512)
    assert {tool["strict"] for tool in body["tools"]} == {False}
    assert scripted_model.requests[0].path.endswith("/responses")


@pytest.mark.parametrize("api", Api)
def test_the_date_stands_in_the_message_and_not_before(
    connect: Connect, scripted_model: ScriptedModel, api: Api
) -> None:
    scripted_model.script(says("Hello."))
    Conversation().say(connect(api=api), "Hi")
    body = scripted_model.requests[0].body
    instructions = body["instructions"] if api is Api.RESPONSES else body["messages"][0]["content"]
    messages = body["input"] if api is Api.RESPONSES else body["messages"]
    assert "2026-11-25" not in instructions
    assert messages[-1]["content"] == "Now: 2026-11-25T12:00+01:00 (Europe/Berlin), Wednesday\n\nHi"


@pytest.mark.parametrize("api", Api)
def test_tokens_are_counted_of_all_four_kinds(connect: Connect, scripted_model: ScriptedModel, api: Api) -> None:
    usage = Usage(prompt_tokens=100, completion_tokens=20, cached_tokens=64, reasoning_tokens=8)
    scripted_model.script(says("Hello.", usage=usage))
    answer = Conversation().say(connect(api=api), "Hi")
    counted = answer.usage
    assert (counted.input_tokens, counted.cached_tokens) == (100, 64)
    assert (counted.output_tokens, counted.reasoning_tokens) == (20, 8)
    assert answer.model == "scripted-model"


@pytest.mark.parametrize("api", Api)
def test_the_cached_prefix_grows_from_request_to_request(
    connect: Connect, scripted_model: ScriptedModel, api: Api
) -> None:
    conversation, provider = Conversation(), connect(api=api)
    for number in range(3):
        scripted_model.script(calls(MILK), says(f"Added {number}."))
        conversation.say(provider, f"Add milk {number}")
    name = "input" if api is Api.RESPONSES else "messages"
    sent = [request.body[name] for request in scripted_model.requests]
    for before, after in pairwise(sent):
        assert after[: len(before)] == before


def test_a_gateway_s_protocol_is_not_changed_against_a_setting(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(*picky(rules=(rules.responses_only,)))
    with pytest.raises(Exception, match="OPENAI_API=responses"):
        Conversation().say(connect(api=Api.CHAT_COMPLETIONS), "Hi")


def test_the_history_of_every_request_is_strictly_valid(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(calls(MILK, MILK), calls(MILK), says("Added."), says("Bye."))
    conversation, provider = Conversation(history=list(FROM_ELSEWHERE)), connect()
    conversation.say(provider, "Add milk")
    conversation.say(provider, "Bye")
    for request in scripted_model.requests:
        check_chat_messages(request.messages, ["call_1", "call_2", "call_3"])


def test_a_provider_that_answers_nonsense_twice_has_failed(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(raw(b"{}"), raw(b"[]"))
    with pytest.raises(Exception, match=r"The model's provider failed: its answer is not a JSON object\."):
        Conversation().say(connect(), "Hi")
