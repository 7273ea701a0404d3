"""Answers with odd edges, over a real socket: what can be used is used, and what cannot is tried again."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskchat.agent import Api, Completion, Prompt, ProviderSettings, chat_completions, responses
from taskchat.agent.answers import FaultyAnswerError, arguments_text, is_written_call, text_of
from taskchat.agent.loop import CORRECTION, function_tools
from taskchat.agent.refusals import Refusal
from taskchat.agent.transcript import UserMessage
from taskchat.errors import ModelFailedError
from tests.support.agent_turns import Conversation
from tests.support.scripted_model import RawAnswer, ScriptedModel, calls, raw, says
from tests.taskchat.agent.conftest import Connect

MILK = ("create_task", {"title": "Milk"})
NAMES = [tool.name for tool in function_tools()]


def message(finish: str = "stop", **fields: Any) -> RawAnswer:
    """Answer with one choice on Chat Completions."""
    return choices({"message": {"role": "assistant", **fields}, "finish_reason": finish})


def choices(*given: Any, **more: Any) -> RawAnswer:
    return raw(json.dumps({"choices": list(given), **more}).encode())


def response(*output: Any, **more: Any) -> RawAnswer:
    """Answer on Responses."""
    return raw(json.dumps({"status": "completed", "output": list(output), **more}).encode())


def function(**fields: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "create_task", "arguments": "{}"} | fields}


def text(content: str) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": content}]}


@pytest.mark.parametrize(
    "answer",
    [
        message(content="Hello.", refusal=False),
        message(content="Hello.", refusal=None, tool_calls=None, function_call=None, audio=None, annotations=[]),
        message(content="Hello.", tool_calls={}),
        message(content="Hello.", tool_calls=""),
        message(content="Hello.", tool_calls=[], reasoning_content={}),
        message(content=["Hel", "lo."]),
        message(content=[{"type": "text", "text": "Hello."}]),
        message(content={"type": "text", "text": "Hello."}),
        message(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, "Hello."]),
        message(content=[{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "Hello."}]),
        message(content="<think>The person greets.</think>\n\nHello."),
        message(content="The person greets.\n</think>\nHello."),
        message(content="<thinking>\nHm.</thinking>Hello.", reasoning="Hm."),
        message(content="Hello.", finish=""),
        message(content="Hello.", finish="end_turn"),
        choices({"message": {"content": "Hello."}}, usage=None, model=None),
        choices(None, {"message": {"content": "Hello."}}),
        choices({"message": {"content": "Hello."}}, error=None),
    ],
    ids=lambda answer: answer.body.decode()[:70],
)
def test_a_good_answer_with_odd_edges_is_taken(connect: Connect, scripted_model: ScriptedModel, answer: Any) -> None:
    scripted_model.script(answer)
    assert Conversation().say(connect(), "Hi").content == "Hello."


@pytest.mark.parametrize(
    "answer",
    [
        response(text("Hello.")),
        response({"type": "reasoning", "summary": [], "encrypted_content": None}, text("Hello.")),
        response({"type": "web_search_call"}, None, text("Hello."), error=None, usage=None),
        response({"type": "message", "content": "Hello."}),
        response({"type": "message", "content": [{"type": "text", "text": "Hello."}]}),
        response(text("<think>Hm.</think>Hello."), status=None),
    ],
    ids=lambda answer: answer.body.decode()[:70],
)
def test_a_good_response_with_odd_edges_is_taken(connect: Connect, scripted_model: ScriptedModel, answer: Any) -> None:
    scripted_model.script(answer)
    assert Conversation().say(connect(api=Api.RESPONSES), "Hi").content == "Hello."


@pytest.mark.parametrize(
    ("call", "tool", "arguments"),
    [
        (function(), "create_task", {}),
        (function(arguments={"title": "Milk"}), "create_task", {"title": "Milk"}),
        (function(arguments=""), "create_task", {}),
        (function(arguments="  "), "create_task", {}),
        (function(arguments=None), "create_task", {}),
        (function(arguments="{'title': 'Milk', 'done': True, 'due_at': None}"), "create_task", None),
        (function(arguments='"{\\"title\\": \\"Milk\\"}"'), "create_task", {"title": "Milk"}),
        (function(name="functions.create_task"), "create_task", {}),
        (function(name="functions.create_task:0"), "create_task", {}),
        (function(name="default_api.create_task"), "create_task", {}),
        (function(name="create_task<|channel|>commentary"), "create_task", {}),
        (function(name=" create_task "), "create_task", {}),
        (function(name="functions.send_email"), "functions.send_email", {}),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_an_odd_tool_call_is_understood(
    connect: Connect, scripted_model: ScriptedModel, call: Any, tool: str, arguments: Any
) -> None:
    scripted_model.script(message(tool_calls=[call]), says("Done."))
    conversation = Conversation()
    conversation.say(connect(), "Hi")
    (request,) = conversation.completions[0].requests
    expected = {"title": "Milk", "done": True, "due_at": None} if arguments is None else arguments
    assert (request.tool, json.loads(request.arguments)) == (tool, expected)


@pytest.mark.parametrize("given_id", [None, "", 7, "x" * 65, "a b", "call_1"], ids=repr)
def test_an_id_that_cannot_be_sent_back_is_replaced(
    connect: Connect, scripted_model: ScriptedModel, given_id: Any
) -> None:
    first, second = function() | {"id": "call_1"}, function() | {"id": given_id}
    scripted_model.script(message(tool_calls=[first, second]), says("Done."))
    conversation = Conversation()
    conversation.say(connect(), "Hi")
    kept = [request.id for request in conversation.completions[0].requests]
    assert kept[0] == "call_1"
    assert re.fullmatch("[A-Za-z0-9]{9}", kept[1])


@pytest.mark.parametrize(
    "answer",
    [
        message(finish="stop", tool_calls=[function()]),
        message(finish="tool_calls", content="", tool_calls=[function()], refusal=""),
        choices({"message": {"content": "Let me see."}}, {"message": {"tool_calls": [function()]}}),
        message(finish="function_call", function_call={"name": "create_task", "arguments": "{}"}),
    ],
    ids=lambda answer: answer.body.decode()[:70],
)
def test_a_tool_call_is_found_wherever_it_stands(connect: Connect, scripted_model: ScriptedModel, answer: Any) -> None:
    scripted_model.script(answer, says("Done."))
    conversation = Conversation()
    assert conversation.say(connect(), "Hi").content == "Done."
    assert [request.tool for request in conversation.completions[0].requests] == ["create_task"]


@pytest.mark.parametrize(
    "broken",
    [
        message(finish="error", content="Hel"),
        message(finish="insufficient_system_resource", content="Hel"),
        message(finish="MALFORMED_FUNCTION_CALL"),
        choices({"message": {"content": "Hel"}, "error": {"code": 502, "message": "Upstream failed"}}),
        raw(b'{"error": {"code": 503, "message": "Upstream is down"}}'),
        raw(b'{"error": {"message": "Something went wrong"}, "choices": []}'),
        raw(b'{"error": "Something went wrong"}'),
        message(content="<think>Hm."),
        message(content=[{"type": "thinking", "thinking": "Hm."}]),
        message(finish="length", tool_calls=[function(arguments='{"title": "Mi')]),
        message(finish="length", content=""),
    ],
    ids=lambda answer: answer.body.decode()[:70],
)
def test_an_answer_that_is_not_whole_is_asked_for_again(
    connect: Connect, scripted_model: ScriptedModel, broken: Any
) -> None:
    scripted_model.script(broken, says("Hello."))
    assert Conversation().say(connect(), "Hi").content == "Hello."


@pytest.mark.parametrize(
    "broken",
    [
        response(text("Hel"), status="failed", error={"code": "server_error", "message": "It failed."}),
        response(text("Hel"), status="failed"),
        response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        response({"type": "reasoning", "summary": []}),
        raw(b'{"output": null}'),
        raw(b'{"error": {"message": "Something went wrong"}}'),
    ],
    ids=lambda answer: answer.body.decode()[:70],
)
def test_a_response_that_is_not_whole_is_asked_for_again(
    connect: Connect, scripted_model: ScriptedModel, broken: Any
) -> None:
    scripted_model.script(broken, says("Hello."))
    assert Conversation().say(connect(api=Api.RESPONSES), "Hi").content == "Hello."


@pytest.mark.parametrize("api", Api)
def test_an_answer_that_was_cut_off_says_so(connect: Connect, scripted_model: ScriptedModel, api: Api) -> None:
    scripted_model.script(says("You have these ta", finish_reason="length"))
    assert Conversation().say(connect(api=api), "Hi").content.endswith("(The answer was cut off here.)")


@pytest.mark.parametrize("api", Api)
def test_an_empty_answer_names_the_setting_of_its_limit(
    connect: Connect, scripted_model: ScriptedModel, api: Api
) -> None:
    scripted_model.script(*[says("", finish_reason="length")] * 2)
    with pytest.raises(ModelFailedError, match="OPENAI_MAX_OUTPUT_TOKENS"):
        Conversation().say(connect(api=api), "Hi")


WRITTEN = [
    '<tool_call>\n{"name": "create_task", "arguments": {"title": "Milk"}}\n</tool_call>',
    '<function=create_task>{"title": "Milk"}</function>',
    '[TOOL_CALLS][{"name": "create_task", "arguments": {"title": "Milk"}}]',
    '{"name": "create_task", "parameters": {"title": "Milk"}}',
    '```json\n{"name": "create_task", "arguments": {"title": "Milk"}}\n```',
    '[{"type": "function", "function": {"name": "create_task"}}]',
    "```tool_code\nprint(default_api.create_task(title='Milk'))\n```",
    'create_task(title="Milk")',
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.create_task:0<|tool_call_end|>",
    '<function_calls><invoke name="create_task"></invoke></function_calls>',
    "<|channel|>commentary to=functions.create_task json<|message|>{}",
]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_tool_call_written_as_text_is_corrected_once(
    connect: Connect, scripted_model: ScriptedModel, written: str
) -> None:
    scripted_model.script(says(written), calls(MILK), says("Added."))
    conversation = Conversation()
    assert conversation.say(connect(), "Add milk").content == "Added."
    assert scripted_model.requests[1].messages[-1]["content"] == CORRECTION
    assert [said.role for said in conversation.history] == ["user", "assistant", "assistant"]
    # The call that was wasted is counted with the one after it.
    assert conversation.completions[0].usage.input_tokens == 22


def test_a_tool_call_written_twice_names_what_to_check(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(*[says(WRITTEN[0])] * 2)
    with pytest.raises(ModelFailedError, match="tool-call parser"):
        Conversation().say(connect(), "Add milk")


@pytest.mark.parametrize(
    "reply",
    [
        "I called create_task, and it is added.",
        'The title is {"name": "x"}.',
        "I used the create_task tool (it worked).",
        "[x] Buy milk",
        '{"name": "something_else"}',
    ],
)
def test_an_ordinary_reply_is_no_written_call(reply: str) -> None:
    assert not is_written_call(reply, NAMES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "choices",
                        "message",
                        "content",
                        "tool_calls",
                        "function",
                        "name",
                        "arguments",
                        "id",
                        "type",
                        "text",
                    ),
                    *(
                        "output",
                        "usage",
                        "error",
                        "status",
                        "finish_reason",
                        "refusal",
                        "call_id",
                        "incomplete_details",
                    ),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)
PROMPT = Prompt(function_tools(), "Be brief.", [UserMessage("Hi")])
SETTINGS = ProviderSettings("key", "http://127.0.0.1:1/v1", "model")


@given(
    JSON | st.builds(lambda inner: {"choices": [{"message": inner}]}, JSON) | st.builds(lambda o: {"output": o}, JSON)
)
@settings(max_examples=200)
def test_any_json_is_read_or_called_faulty(document: Any) -> None:
    for read in (chat_completions.read, responses.read):
        try:
            answer = read(json.dumps(document).encode(), PROMPT, SETTINGS)
        except FaultyAnswerError:
            continue
        assert isinstance(answer, Completion | Refusal)
        if isinstance(answer, Completion):
            assert answer.content or answer.requests
            assert all(isinstance(json.dumps(request.arguments), str) for request in answer.requests)


@given(st.text(max_size=60) | st.from_regex(r"\{.{0,40}\}", fullmatch=True))
@settings(max_examples=100)
def test_any_arguments_and_content_are_read(written: str) -> None:
    assert isinstance(arguments_text(written), str)
    assert "<think>" not in text_of(written) or "</think>" not in text_of(written)
