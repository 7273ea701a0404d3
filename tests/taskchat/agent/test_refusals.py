"""Errors of providers: what is tried again, what is said to the person, and what to the operator."""

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from taskchat.agent import Api, ProviderSettings
from taskchat.agent.refusals import read_refusal, redacted
from taskchat.agent.transcript import short_id
from taskchat.errors import ModelFailedError, ModelRateLimitedError, TaskchatError
from tests.support.agent_turns import Conversation, Recorded
from tests.support.picky_providers import openai_error
from tests.support.scripted_model import ScriptedModel, calls, says, status
from tests.taskchat.agent.conftest import Connect

SECRET = "Ring the notary about Wilhelmina's will"
HISTORY = [
    Recorded("user", "One " * 500),
    Recorded("assistant", "Yes."),
    Recorded("user", "Two"),
    Recorded("assistant", "No."),
]


def in_seconds(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    "passing",
    [
        status(408),
        status(409),
        status(425),
        status(500),
        status(502),
        status(503),
        status(529),
        status(503, headers={"Retry-After": "0"}),
        status(400, body={"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}}),
    ],
    ids=lambda answer: f"{answer.status} {answer.body.decode()[:30]}",
)
def test_a_passing_fault_is_tried_again_once(connect: Connect, scripted_model: ScriptedModel, passing: Any) -> None:
    scripted_model.script(passing, says("Hello."))
    assert Conversation().say(connect(), "Hi").content == "Hello."
    scripted_model.script(passing, passing, says("Too late."))
    with pytest.raises(TaskchatError) as raised:
        Conversation().say(connect(), "Hi")
    assert raised.value.retryable
    assert scripted_model.unused == 1


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (status(429, headers={"Retry-After": "7"}), 7),
        (status(429, headers={"Retry-After": "6.2"}), 7),
        (status(429, headers={"retry-after-ms": "1500"}), 2),
        (status(429, body={"error": {"message": "Rate limit reached. Please try again in 1m30.5s."}}), 91),
        (status(429), 5),
        (status(503, headers={"Retry-After": "40"}), 40),
        (status(529, headers={"Retry-After": "40"}), 40),
        (
            status(
                429,
                body=[
                    {
                        "error": {
                            "status": "RESOURCE_EXHAUSTED",
                            "message": "You exceeded your current quota. Please retry in 32.6s.",
                        }
                    }
                ],
            ),
            33,
        ),
    ],
    ids=lambda value: getattr(value, "body", b"").decode()[:60] if hasattr(value, "body") else str(value),
)
def test_a_provider_that_is_busy_says_for_how_long(
    connect: Connect, scripted_model: ScriptedModel, refusal: Any, seconds: int
) -> None:
    scripted_model.script(refusal)
    with pytest.raises(ModelRateLimitedError) as raised:
        Conversation().say(connect(), "Hi")
    assert raised.value.retry_after_seconds == seconds


@pytest.mark.parametrize("number", [429, 503])
def test_a_date_to_retry_after_is_understood(connect: Connect, scripted_model: ScriptedModel, number: int) -> None:
    scripted_model.script(status(number, headers={"Retry-After": in_seconds(60)}))
    with pytest.raises(ModelRateLimitedError) as raised:
        Conversation().say(connect(), "Hi")
    assert 55 <= raised.value.retry_after_seconds <= 60


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (openai_error("Incorrect API key provided: sk-ver***key", None, "invalid_api_key", 401), "OPENAI_API_KEY"),
        (openai_error("You have no access to this model.", number=403), "OPENAI_API_KEY.*OPENAI_MODEL"),
        (
            openai_error("The model `x` does not exist", None, "model_not_found", 404),
            "OPENAI_MODEL and OPENAI_BASE_URL",
        ),
        (status(404, body="page not found"), "OPENAI_BASE_URL"),
        (status(307, headers={"Location": "https://elsewhere.example"}), "OPENAI_BASE_URL"),
        (openai_error("Check your plan and billing.", None, "insufficient_quota", 429), "billing"),
        (status(402, body={"error": {"message": "Insufficient credits", "code": 402}}), "billing"),
        (status(400, body={"error": {"message": "registry/gemma does not support tools"}}), "OPENAI_MODEL"),
        (
            status(400, body={"message": '"auto" tool choice requires --enable-auto-tool-choice to be set'}),
            "cannot call tools",
        ),
        (openai_error("Something about this request is wrong."), "OPENAI_MODEL and OPENAI_REASONING_EFFORT"),
    ],
    ids=lambda value: getattr(value, "body", b"").decode()[:70] if hasattr(value, "body") else value,
)
def test_a_refusal_tells_which_setting_to_look_at(
    connect: Connect, scripted_model: ScriptedModel, refusal: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    scripted_model.script(refusal)
    with pytest.raises(ModelFailedError, match=told) as raised:
        Conversation().say(connect(), "Hi")
    assert raised.value.permanent
    (record,) = caplog.records
    assert f"status {refusal.status}" in record.message


@pytest.mark.parametrize("quoted", [SECRET, SECRET.upper(), f'{{"title": "{SECRET}"}}', SECRET[:12]])
def test_the_log_has_the_reason_without_words_and_key(
    connect: Connect, scripted_model: ScriptedModel, caplog: pytest.LogCaptureFixture, quoted: str
) -> None:
    reason = f"The value '{quoted}' was refused for the key sk-very-secret-key: invalid property of the provider"
    scripted_model.script(openai_error(reason))
    with pytest.raises(ModelFailedError):
        Conversation().say(connect(), SECRET)
    assert "invalid property of the provider" in caplog.text
    for hidden in (*SECRET.split(), "sk-very", "secret-key"):
        assert hidden.lower() not in caplog.text.lower() or len(hidden) < 5


def test_a_short_quoted_word_of_a_person_is_not_logged() -> None:
    assert redacted("Invalid value: 'Milk'. It must be an integer.", "Add Milk", ()) == (
        "Invalid value: '[…]'. It must be an integer."
    )


@pytest.mark.parametrize("shown", ["sk-ver*****-key", "sk-very-secret-key", "********key"])
def test_a_masked_key_is_not_logged(shown: str) -> None:
    reason = redacted(f"Incorrect API key provided: {shown} was not found.", "", ("sk-very-secret-key",))
    assert reason == "Incorrect API key provided: […] was not found."


@pytest.mark.parametrize(
    "too_long",
    [
        openai_error("This model's maximum context length is 8192 tokens.", "messages", "context_length_exceeded"),
        status(
            400, body={"error": {"code": 400, "type": "exceed_context_size_error", "message": "the request exceeds"}}
        ),
        status(500, body={"error": {"message": "the request exceeds the available context size"}}),
        status(413, body={"error": {"message": "Request too large for model", "code": "rate_limit_exceeded"}}),
        status(429, body={"error": {"message": "Request too large for gpt on tokens per min: limit 6000"}}),
        status(400, body={"message": "Input is too long for requested model."}),
        status(400, body={"object": "error", "message": "Prompt contains 40000 tokens, too large for the model"}),
        status(400, body=[{"error": {"message": "The input token count (9000) exceeds the maximum number allowed"}}]),
        status(400, body={"error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens"}}),
    ],
    ids=lambda answer: answer.body.decode()[:70],
)
def test_a_prompt_that_is_too_long_is_sent_shorter(
    connect: Connect, scripted_model: ScriptedModel, too_long: Any
) -> None:
    scripted_model.script(too_long, says("Hello."))
    assert Conversation(history=list(HISTORY)).say(connect(), "Hi").content == "Hello."
    first, second = (request.messages for request in scripted_model.requests)
    assert [len(first), len(second)] == [6, 4]
    assert second[-1] == first[-1]


def test_a_message_that_is_too_long_by_itself_fails(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(*[status(413)] * 5)
    with pytest.raises(ModelFailedError, match="longer than the model takes"):
        Conversation(history=list(HISTORY)).say(connect(), "Hi")
    assert len(scripted_model.requests[-1].messages) == 2


@pytest.mark.parametrize(
    "filtered",
    [
        openai_error("The response was filtered due to our content management policy.", "prompt", "content_filter"),
        openai_error("Invalid prompt: flagged as potentially violating our usage policy.", None, "invalid_prompt"),
        status(403, body={"error": {"code": 403, "message": "Your input was flagged", "metadata": {"reasons": ["x"]}}}),
    ],
    ids=lambda answer: answer.body.decode()[:70],
)
def test_a_refused_message_in_the_history_stops_nothing(
    connect: Connect, scripted_model: ScriptedModel, filtered: Any
) -> None:
    refused = [*HISTORY, Recorded("user", "Something refused")]
    scripted_model.script(filtered, says("Hello."))
    assert Conversation(history=refused).say(connect(), "Hi").content == "Hello."
    assert "Something refused" not in str(scripted_model.requests[-1].messages)


def test_a_refused_message_is_told_to_the_person(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(openai_error("Content policy", None, "content_filter"))
    with pytest.raises(ModelFailedError, match="Please word it differently"):
        Conversation().say(connect(), "Hi")


def test_a_refused_schema_keyword_is_left_out(connect: Connect, scripted_model: ScriptedModel) -> None:
    refusal = openai_error("Invalid schema for function 'create_task': 'maxLength' is not permitted.", "tools[0]")
    scripted_model.script(refusal, says("Hello."), says("Hello."))
    provider = connect()
    for _ in range(2):
        Conversation().say(provider, "Hi")
    assert ["maxLength" in str(request.body["tools"]) for request in scripted_model.requests] == [True, False, False]
    assert "minimum" in str(scripted_model.requests[-1].body["tools"])


def test_a_refused_schema_without_a_name_becomes_a_basic_one(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(status(400, body={"error": "The JSON schema is not supported"}), says("Hello."))
    Conversation().say(connect(), "Hi")
    sent = str(scripted_model.requests[-1].body["tools"])
    assert not [word for word in ("additionalProperties", "maxLength", "minimum", "default") if word in sent]
    assert "create_task" in sent


def test_the_output_limit_is_sent_by_the_name_it_has(connect: Connect, scripted_model: ScriptedModel) -> None:
    refusal = openai_error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens")
    scripted_model.script(refusal, says("Hello."))
    Conversation().say(connect(max_output_tokens=512), "Hi")
    first, second = (request.body for request in scripted_model.requests)
    assert first["max_tokens"] == second["max_completion_tokens"] == 512
    assert "max_tokens" not in second


def test_what_was_learned_ends_with_the_settings(connect: Connect, scripted_model: ScriptedModel) -> None:
    refusal = openai_error("Unknown parameter: 'include'", "include")
    scripted_model.script(refusal, says("Hello."), says("Hello."))
    Conversation().say(connect(api=Api.RESPONSES), "Hi")
    Conversation().say(connect(api=Api.RESPONSES), "Hi")
    assert ["include" in request.body for request in scripted_model.requests] == [True, False, True]


def test_one_refused_parameter_is_one_warning(
    connect: Connect, scripted_model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    scripted_model.script(openai_error("Unknown parameter: 'reasoning_effort'", "reasoning_effort"), *[says("Hi.")] * 3)
    provider = connect(reasoning_effort="low")
    for _ in range(3):
        Conversation().say(provider, "Hi")
    (record,) = caplog.records
    assert "reasoning_effort is left out" in record.message


@pytest.mark.parametrize(
    ("base_url", "setting", "chat", "response"),
    [
        (None, None, "none", "low"),
        ("https://api.openai.com/v1", None, "none", "low"),
        ("https://eu.api.openai.com/v1", None, "none", "low"),
        ("https://openrouter.ai/api/v1", None, None, None),
        ("https://not-api.openai.com.example/v1", None, None, None),
        (None, "high", "high", "high"),
        ("https://openrouter.ai/api/v1", "low", "low", "low"),
    ],
)
def test_only_openai_gets_an_effort_by_default(
    base_url: str | None, setting: str | None, chat: str | None, response: str | None
) -> None:
    settings = ProviderSettings("key", base_url, "model", reasoning_effort=setting)
    assert (settings.effort(Api.CHAT_COMPLETIONS), settings.effort(Api.RESPONSES)) == (chat, response)


@pytest.mark.parametrize(
    ("base_url", "setting", "api"),
    [
        (None, None, Api.RESPONSES),
        ("https://us.api.openai.com/v1", None, Api.RESPONSES),
        ("http://localhost:11434/v1", None, Api.CHAT_COMPLETIONS),
        (None, Api.CHAT_COMPLETIONS, Api.CHAT_COMPLETIONS),
        ("http://localhost:11434/v1", Api.RESPONSES, Api.RESPONSES),
    ],
)
def test_the_protocol_follows_from_the_provider(base_url: str | None, setting: Api | None, api: Api) -> None:
    assert ProviderSettings("key", base_url, "model", setting).default_api is api


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"null", b"7", b"[]", b'{"error": 7}', b"[" * 100_000, b'{"detail": [7]}']
)
def test_an_error_of_any_form_is_read(body: bytes) -> None:
    assert read_refusal(400, {}, body).status == 400


def test_ids_that_a_server_fails_on_become_short(connect: Connect, scripted_model: ScriptedModel) -> None:
    failing = status(500, body={"error": "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9"})
    scripted_model.script(calls(("list_tasks", {})), failing, says("Done."))
    assert Conversation().say(connect(), "Hi").content == "Done."
    assert scripted_model.requests[-1].messages[-1]["tool_call_id"] == short_id("call_1")
