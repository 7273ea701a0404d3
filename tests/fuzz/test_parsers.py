"""Everything that reads text from outside returns a value or raises the error that its docstring names.

Inputs that once broke a reader stay as explicit examples.
"""

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from functions.mcp.clients import new_session_id
from functions.migrate.errors import InvalidEventError
from functions.migrate.events import read_request
from taskchat import principal, time_zones
from taskchat.agent import Completion, Prompt, ProviderSettings, chat_completions, responses
from taskchat.agent.answers import FaultyAnswerError
from taskchat.agent.loop import function_tools
from taskchat.agent.refusals import Refusal, read_refusal, redacted
from taskchat.agent.transcript import UserMessage
from taskchat.conversations.bounded import read_calls
from taskchat.conversations.cursors import Position, decode, encode
from taskchat.database import driver_url
from taskchat.errors import InvalidRequestError, UnauthenticatedError
from taskchat.http import preferences
from taskchat.json_values import compact_json
from taskchat.queue import turn_id_of
from taskchat.settings import Settings, SettingsError, read_settings
from taskchat.text import is_storable
from taskchat.toolkit.arguments import InvalidArgumentsError, parse, validate
from taskchat.tools import TOOLS
from tests.support.mutations import JSON, ODD_TEXT, mutated

PROMPT = Prompt(function_tools(), "Be brief.", [UserMessage("Hi")])
PROVIDER = ProviderSettings("key", "http://127.0.0.1:1/v1", "model")
CALL = {"id": "call_1", "type": "function", "function": {"name": "create_task", "arguments": '{"title": "Milk"}'}}
CHAT_COMPLETION = {
    "choices": [{"message": {"role": "assistant", "content": "Hi", "tool_calls": [CALL]}, "finish_reason": "stop"}],
    "model": "m",
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}},
}
RESPONSE = {
    "status": "completed",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "call_1", "name": "create_task", "arguments": '{"title": "Milk"}'},
    ],
    "usage": {"input_tokens": 1, "output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 0}},
    "error": None,
    "incomplete_details": None,
}
ERROR = {"error": {"message": "No such model", "type": "invalid_request_error", "param": "model", "code": "not_found"}}
BYTES = st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode())


@pytest.mark.parametrize(("read", "valid"), [(chat_completions.read, CHAT_COMPLETION), (responses.read, RESPONSE)])
@given(data=st.data())
@settings(max_examples=60)
def test_a_providers_answer(read: Any, valid: dict[str, Any], data: st.DataObject) -> None:
    body = data.draw(BYTES | mutated(valid).map(lambda value: json.dumps(value).encode()))
    try:
        answer = read(body, PROMPT, PROVIDER)
    except FaultyAnswerError:
        return
    assert isinstance(answer, Completion | Refusal)
    if isinstance(answer, Completion):
        assert answer.content or answer.requests
        kept = (
            answer.content,
            answer.model_context,
            answer.provider_state,
            [vars_of(request) for request in answer.requests],
        )
        assert is_storable(compact_json(kept))


def vars_of(request: Any) -> list[str]:
    return [request.id, request.tool]


@given(
    st.integers(300, 599),
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset-requests"]), ODD_TEXT),
    BYTES | mutated(ERROR).map(lambda value: json.dumps(value).encode()),
)
@settings(max_examples=60)
def test_a_providers_error(code: int, headers: dict[str, str], body: bytes) -> None:
    refusal = read_refusal(code, headers, body)
    assert refusal.retry_after_seconds is None or 0 <= refusal.retry_after_seconds <= 3_600
    for kind in (
        "is_too_long",
        "is_rate_limit",
        "is_overload",
        "is_passing",
        "is_filtered",
        "is_quota",
        "is_malformed",
    ):
        assert getattr(refusal, kind) in (True, False)
    assert "sk-a-secret" not in redacted(f"{refusal.reason} sk-a-secret", "said", ("sk-a-secret",))


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
@given(data=st.data())
@settings(max_examples=30)
def test_the_arguments_of_a_tool(tool: Any, data: st.DataObject) -> None:
    names = st.sampled_from(sorted(tool.input.model_fields) or ["x"]) | ODD_TEXT
    times = st.datetimes().map(str) | st.dates().map(str)
    text = data.draw(ODD_TEXT | (st.dictionaries(names, JSON | times, max_size=4) | JSON).map(json.dumps))
    shown = ""
    with suppress(InvalidArgumentsError):
        arguments = parse(text)
        shown = compact_json(arguments)
        shown += str(validate(tool, arguments, ZoneInfo("Pacific/Kiritimati")))
    assert is_storable(shown)


@given(
    st.text("ABCDEFabcdef0123456789-_=", max_size=40) | ODD_TEXT | st.binary(min_size=24, max_size=24).map(bytes.hex)
)
@settings(max_examples=30)
def test_a_cursor(cursor: str) -> None:
    with pytest.raises(InvalidRequestError):
        decode(cursor, "conversations of ann")


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-(2**63), 2**63 - 1), ODD_TEXT.filter(is_storable))
@settings(max_examples=25)
def test_a_cursor_comes_back(moment: datetime, row_id: int, scope: str) -> None:
    assert decode(encode(Position(moment, row_id), scope), scope) == Position(moment, row_id)


@given(ODD_TEXT | JSON.map(json.dumps) | st.uuids().map(lambda turn: json.dumps({"turn_id": str(turn)})))
@example('{"turn_id": "{00000000-0000-0000-0000-000000000001}"}')
@settings(max_examples=30)
def test_a_message_of_the_queue(body: str) -> None:
    try:
        turn_id = turn_id_of(body)
    except ValueError:
        return
    assert isinstance(turn_id, uuid.UUID)


@given(JSON | mutated({"action": "upgrade", "revision": "head"}) | mutated({"action": "downgrade", "confirm": True}))
@settings(max_examples=30)
def test_an_event_of_the_migration(event: Any) -> None:
    try:
        request = read_request(event)
    except InvalidEventError:
        return
    assert request.action in {"upgrade", "downgrade", "stamp", "sql", "current", "history", "check", "verify"}


URLS = st.from_regex(r"(postgres(ql)?|sqlite|mysql)(\+\w+)?:/{0,3}[\w:@/%?&=.\[\]-]{0,30}", fullmatch=True)


@given(URLS | ODD_TEXT | st.text("postgresql:/@[]?&=%.,{}#\\ 09", max_size=30))
@settings(max_examples=60)
def test_a_url_of_a_database(text: str) -> None:
    with suppress(SettingsError):
        assert isinstance(driver_url(text), URL)


@given(st.dictionaries(st.sampled_from([name.upper() for name in Settings.model_fields]), ODD_TEXT, max_size=4))
@settings(max_examples=60)
def test_an_environment(environment: dict[str, str]) -> None:
    try:
        read_settings(environment)
    except SettingsError as error:
        fields = {part.split(":")[0] for part in str(error).split("; ")}
        assert fields <= {name.upper() for name in Settings.model_fields}


@given(JSON | mutated({"requestContext": {"authorizer": {"jwt": {"claims": {"iss": "i", "sub": "s", "email": "e"}}}}}))
@settings(max_examples=30)
def test_the_claims_of_a_caller(event: Any) -> None:
    if not isinstance(event, dict):
        return
    try:
        person = principal.from_event(event)
    except UnauthenticatedError:
        return
    assert is_storable(person.subject)


@given(ODD_TEXT | st.text("respondasync-wait=20;, \"'", max_size=40))
@settings(max_examples=30)
def test_the_header_prefer(header: str) -> None:
    assert 0 <= preferences.parse(header).wait_seconds < 10**6


@given(ODD_TEXT | st.text("+-0123456789:UTCGMTEurope/Berlin.", max_size=20))
@settings(max_examples=30)
def test_the_name_of_a_time_zone(name: str) -> None:
    try:
        zone = time_zones.parse(name)
    except ValueError:
        return
    assert (
        datetime(2026, 7, 1, tzinfo=zone).utcoffset()
        == datetime(2026, 7, 1, tzinfo=time_zones.parse(str(zone))).utcoffset()
    )


@given(
    JSON | mutated({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}})
)
@settings(max_examples=30)
def test_the_parameters_of_an_initialize(params: Any) -> None:
    tag = new_session_id(params)
    assert tag is None or tag.isascii()


RECORDED = [
    {"id": "1", "tool": "list_tasks", "arguments": {"text": "é😀"}, "result": {"tasks": [{"id": 7, "title": "\n"}]}}
] * 2


@given(escaped=st.booleans(), length=st.integers(0, 240))
@example(escaped=False, length=2)
@example(escaped=False, length=3)
@settings(max_examples=60)
def test_a_record_that_was_cut_off(escaped: bool, length: int) -> None:
    calls = read_calls(json.dumps([RECORDED] * 2, ensure_ascii=escaped)[:length])
    assert calls is not None
    assert all({"id", "tool", "arguments", "result"} <= call.keys() for call in calls)
