"""Faults of the model: the message is kept, no tool runs twice, and the same request continues the turn."""

import io
import json
import re
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from local.lambda_events import Answer
from taskchat.database import database
from taskchat.models import Message, Role, Task, Turn, TurnStatus
from tests.functions.conftest import Post
from tests.support.owner import as_owner
from tests.support.scripted_model import (
    Completion,
    ScriptedModel,
    calls,
    drips,
    empty,
    hangs,
    hangs_up,
    raw,
    refuses,
    says,
    status,
)

KEY = {"Idempotency-Key": "the-key"}
MILK = calls(("create_task", {"title": "Milk"}))
NOT_A_COMPLETION = [
    b"",
    b"<html>Bad gateway</html>",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b'{"choices": []}',
    b'{"choices": null}',
    b'{"choices": [null]}',
    b'{"choices": [{"message": null}]}',
    b'{"choices": [{"message": {"content": 7}}]}',
    b'{"choices": [{"message": {"tool_calls": [{"function": null}]}}]}',
    b'{"choices": {"message": {"content": "Hello"}}}',
    b'{"error": {"message": "no"}}',
    b'{"choices": [{"message": {"tool_calls": "create_task"}}]}',
    b'{"choices": [{"message": {"content": "\xff"}}]}',
    b"[" * 100_000,
    b'{"choices": [{"message": {"content": "' + b"x" * 1_100_000 + b'"}}]}',
]


def tell(post_chat: Post, **context: Any) -> Answer:
    return post_chat({"message": "Add milk"}, headers=KEY, **context)


def read(statement: Any) -> Any:
    return as_owner(database(), lambda connection: connection.execute(statement).scalars().all())


def assert_kept_and_still_free(expected_status: TurnStatus) -> None:
    assert read(select(col(Message.content)).where(col(Message.role) == Role.USER)) == ["Add milk"]
    assert read(select(col(Turn.status))) == [expected_status]


def assert_goes_on(post_chat: Post, scripted_model: ScriptedModel, *answers: Completion) -> None:
    scripted_model.script(*answers)
    answer = tell(post_chat)
    assert (answer.status, answer.body["response"]) == (200, "Added.")
    assert read(select(col(Task.title))) == ["Milk"]
    assert read(select(col(Message.content)).where(col(Message.role) == Role.USER)) == ["Add milk"]
    assert read(select(col(Turn.status))) == [TurnStatus.FINISHED]


@pytest.mark.parametrize(
    ("fault", "expected", "code", "turn_status"),
    [
        (status(401), 502, "model-failed", TurnStatus.FAILED),
        (status(403), 502, "model-failed", TurnStatus.FAILED),
        (status(404), 502, "model-failed", TurnStatus.FAILED),
        (status(400), 502, "model-failed", TurnStatus.FAILED),
        (status(422), 502, "model-failed", TurnStatus.FAILED),
        (status(429), 429, "model-rate-limited", TurnStatus.INTERRUPTED),
        (status(500), 502, "model-failed", TurnStatus.INTERRUPTED),
        (status(503), 502, "model-failed", TurnStatus.INTERRUPTED),
        (status(599, body="nonsense"), 502, "model-failed", TurnStatus.INTERRUPTED),
        (status(204), 502, "model-failed", TurnStatus.INTERRUPTED),
        (status(307, headers={"Location": "/v1/chat/completions"}), 502, "model-failed", TurnStatus.FAILED),
        (raw(b"x", 500, "application/json; charset=rot13"), 502, "model-failed", TurnStatus.INTERRUPTED),
        (raw(b"x", 400, "application/json; charset=rot13"), 502, "model-failed", TurnStatus.FAILED),
        (hangs_up(), 502, "model-failed", TurnStatus.INTERRUPTED),
        (empty(), 502, "model-failed", TurnStatus.INTERRUPTED),
        (says("   "), 502, "model-failed", TurnStatus.INTERRUPTED),
        (says("", finish_reason="length"), 502, "model-failed", TurnStatus.INTERRUPTED),
        (
            calls(("create_task", '{"title": "Mi'), finish_reason="length"),
            502,
            "model-failed",
            TurnStatus.INTERRUPTED,
        ),
        *[(raw(body), 502, "model-failed", TurnStatus.INTERRUPTED) for body in NOT_A_COMPLETION],
    ],
    ids=lambda value: repr(value)[:60],
)
@pytest.mark.parametrize("steps", [[], [MILK]], ids=["at once", "after a step"])
# All of these faults are one to the database, and the tests below are on both.
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_fault_is_a_problem_and_the_same_request_goes_on(
    post_chat: Post,
    scripted_model: ScriptedModel,
    steps: list[Completion],
    fault: Any,
    expected: int,
    code: str,
    turn_status: TurnStatus,
) -> None:
    is_tried_twice = turn_status is TurnStatus.INTERRUPTED and expected != 429
    scripted_model.script(*steps, *[fault] * (2 if is_tried_twice else 1))
    answer = tell(post_chat)
    assert (answer.status, answer.body["code"]) == (expected, code)
    assert "Traceback" not in json.dumps(answer.body)
    assert scripted_model.unused == 0
    assert_kept_and_still_free(turn_status)
    assert_goes_on(post_chat, scripted_model, *([] if steps else [MILK]), says("Added."))


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_error_without_an_end_is_a_problem(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(MILK, *[drips(b"x" * 10_000, 1.0, status=500)] * 2)
    answer = tell(post_chat)
    assert (answer.status, answer.body["code"]) == (502, "model-failed")
    assert_kept_and_still_free(TurnStatus.INTERRUPTED)
    assert_goes_on(post_chat, scripted_model, says("Added."))


def test_one_passing_fault_is_not_noticed(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(status(500), MILK, hangs_up(), says("Added."))
    assert tell(post_chat).status == 200
    assert read(select(col(Task.title))) == ["Milk"]


@pytest.mark.parametrize(
    ("headers", "retry_after"),
    [
        ({"Retry-After": "7"}, "7"),
        ({}, "5"),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, "5"),
        ({"Retry-After": "-3"}, "5"),
        ({"Retry-After": "0"}, "1"),
        ({"Retry-After": "9" * 400}, "3600"),
    ],
)
def test_the_provider_s_delay_is_handed_on(
    post_chat: Post, scripted_model: ScriptedModel, headers: dict[str, str], retry_after: str
) -> None:
    scripted_model.script(status(429, headers=headers))
    answer = tell(post_chat)
    assert (answer.status, answer.headers["retry-after"]) == (429, retry_after)


@pytest.mark.parametrize("fault", [hangs(), drips(b" " * 10_000, seconds_between=0.05)], ids=["silence", "a slow body"])
@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_model_that_takes_too_long_interrupts_the_turn(
    post_chat: Post, scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    monkeypatch.setenv("MODEL_TIMEOUT_SECONDS", "3.2")
    scripted_model.script(MILK, fault)
    answer = tell(post_chat)
    assert (answer.status, answer.body["code"]) == (503, "turn-interrupted")
    assert int(answer.headers["retry-after"]) >= 1
    assert_kept_and_still_free(TurnStatus.INTERRUPTED)
    assert_goes_on(post_chat, scripted_model, says("Added."))


def test_a_turn_without_time_stops_between_steps(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(MILK)
    answer = tell(post_chat, remaining_ms=lambda: 4_000 if scripted_model.requests else 29_000)
    assert (answer.status, answer.body["code"], answer.headers["retry-after"]) == (503, "turn-interrupted", "1")
    assert_kept_and_still_free(TurnStatus.INTERRUPTED)
    assert_goes_on(post_chat, scripted_model, says("Added."))


def test_a_provider_that_refuses_connections_has_failed(
    post_chat: Post, scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{closed_port}/v1")
    assert tell(post_chat).body["code"] == "model-failed"
    assert_kept_and_still_free(TurnStatus.INTERRUPTED)
    assert scripted_model.requests == []


def test_a_refusal_is_an_answer(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(refuses("I will not do that."))
    assert tell(post_chat).body["response"] == "I will not do that."


def test_a_filtered_answer_is_an_answer(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("", finish_reason="content_filter"))
    assert tell(post_chat).body["response"] == "I cannot help with that."


def test_an_answer_that_was_cut_off_says_so(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("You have these ta", finish_reason="length"))
    assert tell(post_chat).body["response"] == "You have these ta\n\n(The answer was cut off here.)"


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("send_email", {"to": "ann"}, "unknown-tool"),
        ("", {}, "unknown-tool"),
        ("bad name; \x00", {}, "unknown-tool"),
        ("x" * 300, {}, "unknown-tool"),
        ("create_task", "not JSON", "invalid-arguments"),
        ("create_task", "[]", "invalid-arguments"),
        ("create_task", "x" * 60_000, "invalid-arguments"),
        ("create_task", '{"title": NaN}', "invalid-arguments"),
        ("create_task", '{"title": 1e999}', "invalid-arguments"),
        ("create_task", '{"a":' * 5_000 + "1" + "}" * 5_000, "invalid-arguments"),
        ("create_task", {}, "invalid-arguments"),
        ("create_task", {"title": "Milk", "user_id": "bob"}, "invalid-arguments"),
        ("create_task", {"title": "x" * 201}, "invalid-arguments"),
        ("create_task", {"\x00": "a\x00b"}, "invalid-arguments"),
        ("complete_task", {"task_id": 2**70}, "invalid-arguments"),
        ("complete_task", {"task_id": 10**12}, "not-found"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_wrong_tool_call_is_answered_and_audited(
    post_chat: Post, scripted_model: ScriptedModel, tool: str, arguments: Any, code: str
) -> None:
    scripted_model.script(calls((tool, arguments)), says("Sorry."))
    answer = tell(post_chat)
    assert answer.status == 200
    (call,) = answer.body["tool_calls"]
    assert call["error"]["code"] == code
    assert "result" not in call
    told, result = scripted_model.requests[-1].messages[-2:]
    assert json.loads(result["content"]) == {"error": call["error"]}
    assert json.loads(told["tool_calls"][0]["function"]["arguments"]) == call["arguments"]
    assert 1 <= len(told["tool_calls"][0]["function"]["name"]) <= 64
    assert read(select(col(Task.title))) == []


@pytest.mark.parametrize(
    "ids", [("a\x00", "a\ufffd", "a\ud800"), ("", " ", "x" * 5_000), ("a", "a", "b/c")], ids=["odd", "none", "same"]
)
def test_ids_that_cannot_be_sent_back_are_replaced(
    post_chat: Post, scripted_model: ScriptedModel, ids: tuple[str, ...]
) -> None:
    scripted_model.script(calls(*[("list_tasks", {})] * 3, ids=ids), says("None yet."))
    answer = tell(post_chat)
    kept = [call["id"] for call in answer.body["tool_calls"]]
    assert len(set(kept)) == 3
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,64}", call_id) for call_id in kept)
    assert [message["tool_call_id"] for message in scripted_model.requests[-1].messages[-3:]] == kept


def test_an_endless_answer_is_cut_to_what_a_page_holds(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("x" * 300_000))
    response = tell(post_chat).body["response"]
    assert len(response) < 17_000
    assert response.endswith("(The answer was cut off here.)")


@pytest.mark.parametrize("arguments", [[1], 5, True, "[]"], ids=repr)
def test_arguments_that_are_no_object_are_answered_to_the_model(
    post_chat: Post, scripted_model: ScriptedModel, arguments: Any
) -> None:
    call = {"id": "call_1", "function": {"name": "create_task", "arguments": arguments}}
    step = {"choices": [{"message": {"tool_calls": [call]}}, None]}
    scripted_model.script(raw(json.dumps(step).encode()), says("Sorry."))
    (record,) = tell(post_chat).body["tool_calls"]
    assert record["error"]["code"] == "invalid-arguments"


@pytest.mark.parametrize(
    "odd",
    [
        {"usage": None},
        {"usage": []},
        {"usage": {"prompt_tokens": None, "completion_tokens": "many"}},
        {"usage": {"prompt_tokens": -1, "completion_tokens": 1.5}},
        {"usage": {"prompt_tokens": 2**31 - 1, "completion_tokens": 2**70}},
        {"model": None},
        {"model": 5},
        {"id": 7, "object": None, "created": "now"},
    ],
    ids=str,
)
def test_what_only_describes_an_answer_does_not_spoil_it(
    post_chat: Post, scripted_model: ScriptedModel, odd: dict[str, Any]
) -> None:
    call = {"id": 7, "function": {"name": "create_task", "arguments": {"title": "Milk"}}}
    step = {"choices": [{"message": {"content": None, "tool_calls": [call]}, "finish_reason": 3}]}
    last = {"choices": [{"message": {"content": [{"type": "text", "text": "Added."}]}}, {"message": {}}]}
    scripted_model.script(raw(json.dumps(step | odd).encode()), raw(json.dumps(last | odd).encode()))
    answer = tell(post_chat)
    assert (answer.status, answer.body["response"]) == (200, "Added.")
    assert read(select(col(Task.title))) == ["Milk"]


def test_calls_of_one_reply_run_in_order_one_failing_or_not(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(
        calls(("create_task", {"title": "A"}), ("nonsense", {}), ("create_task", {"title": "B"}), ids=["x", "x", ""]),
        says("Done."),
    )
    answer = tell(post_chat)
    assert [call["tool"] for call in answer.body["tool_calls"]] == ["create_task", "nonsense", "create_task"]
    assert len({call["id"] for call in answer.body["tool_calls"]}) == 3
    assert read(select(col(Task.title)).order_by(col(Task.id))) == ["A", "B"]


def test_a_model_that_never_stops_is_asked_nine_times(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(*[calls(("list_tasks", {}))] * 8, says("Enough."))
    assert tell(post_chat).body["response"] == "Enough."
    offered = [bool(request.tool_names) for request in scripted_model.requests]
    assert offered == [True] * 8 + [False]


def test_an_interrupted_turn_keeps_count_of_its_calls(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(*[calls(("list_tasks", {}))] * 7, status(401))
    assert tell(post_chat).status == 502
    scripted_model.script(calls(("list_tasks", {})), says("Enough."))
    assert tell(post_chat).status == 200
    assert scripted_model.requests[-1].tool_names == []


def test_a_defect_is_logged_whole_answered_bare_and_counted(
    post_chat: Post,
    monkeypatch: pytest.MonkeyPatch,
    log: io.StringIO,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    answer = tell(post_chat)
    assert (answer.status, answer.body["code"]) == (500, "internal")
    assert "OPENAI_API_KEY" not in json.dumps(answer.body)
    (logged,) = (line for line in map(json.loads, log.getvalue().splitlines()) if line["level"] == "ERROR")
    assert "SettingsError: set OPENAI_API_KEY or OPENAI_API_KEY_SECRET" in logged["exception"]
    metrics = map(json.loads, capsys.readouterr().out.splitlines())
    (metric,) = (line for line in metrics if "Problems" in line)
    assert (metric["Problems"], metric["code"]) == ([1.0], "internal")
    assert_kept_and_still_free(TurnStatus.FAILED)


def test_a_refused_message_is_not_sent_with_the_next(post_chat: Post, scripted_model: ScriptedModel) -> None:
    refusal = {"error": {"message": "filtered", "type": "invalid_request_error", "code": "content_filter"}}
    scripted_model.script(says("Hello."), status(400, body=refusal), status(400, body=refusal), says("Here I am."))
    conversation_id = post_chat({"message": "Hi"}).body["conversation_id"]
    refused = post_chat({"message": "something unspeakable", "conversation_id": conversation_id})
    assert refused.status == 502
    answer = post_chat({"message": "Are you there?", "conversation_id": conversation_id})
    assert answer.status == 200
    sent = json.dumps(scripted_model.requests[-1].body)
    assert "unspeakable" not in sent
    assert "Hello." in sent


def test_an_interrupted_message_is_sent_with_the_next(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(MILK, hangs_up(), hangs_up(), says("Done."))
    interrupted = post_chat({"message": "Add milk"})
    conversation_id = read(select(col(Turn.conversation_id)))[0]
    assert interrupted.status == 502
    post_chat({"message": "And?", "conversation_id": conversation_id})
    sent = json.dumps(scripted_model.requests[-1].body)
    assert "Add milk" in sent
    assert "create_task" in sent
