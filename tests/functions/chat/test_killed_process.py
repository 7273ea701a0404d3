"""The whole function, killed by SIGKILL; `tests/taskchat/test_chat_killed.py` has every point, without a process."""

import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import select

from local.lambda_events import http_event
from taskchat.database import database
from taskchat.models import Message, Role, Task, Turn, TurnStatus
from tests.functions.conftest import Post
from tests.support.leases import let_every_lease_run_out
from tests.support.owner import as_owner
from tests.support.scripted_model import Answer, ReceivedRequest, ScriptedModel, calls, says

BODY = {"message": "Add milk"}
SPREAD = (0.0, 0.5, 1.0)
"""Positions of the kill between the first point (0) and the last one (1)."""


def behave(request: ReceivedRequest) -> Answer:
    has_result = any(message["role"] == "tool" for message in request.messages)
    return says("Added.") if has_result else calls(("create_task", {"title": "Milk"}))


def invocation(point: int, key: str) -> "subprocess.CompletedProcess[str]":
    event = http_event("POST", "/chat", body=BODY, headers={"Idempotency-Key": key}, user=key)
    command = [sys.executable, "-m", "tests.support.doomed_invocation", str(point)]
    return subprocess.run(command, input=json.dumps(event), capture_output=True, text=True, timeout=60, check=False)


def read(column: Any) -> list[Any]:
    rows = select(column).order_by(column.class_.id)
    return list(as_owner(database(), lambda connection: connection.execute(rows).scalars().all()))


def test_a_turn_of_a_killed_process_is_finished_on_retry(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(*[behave] * 100)
    whole = invocation(0, "lives")
    assert whole.returncode == 0, whole.stderr
    last_point = int(whole.stdout.splitlines()[-1])
    for turns, share in enumerate(SPREAD, start=2):
        point = 1 + round(share * (last_point - 1))
        key = f"dies-at-{point}"
        assert invocation(point, key).returncode == -signal.SIGKILL
        let_every_lease_run_out(database())
        answer = post_chat(BODY, headers={"Idempotency-Key": key}, user=key)
        assert (answer.status, answer.body["response"]) == (200, "Added.")
        assert read(Task.title) == ["Milk"] * turns
        assert read(Message.role) == [Role.USER, Role.ASSISTANT, Role.ASSISTANT] * turns
        assert read(Turn.status) == [TurnStatus.FINISHED] * turns
        assert [call["tool"] for call in answer.body["tool_calls"]] == ["create_task"]


@pytest.fixture(autouse=True)
def _repository_as_working_directory(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    monkeypatch.chdir(pytestconfig.rootpath)
