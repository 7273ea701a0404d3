"""The worker function over a real queue on loopback, and the routes that hand turns to it."""

import io
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from functions.chat.app import handler as chat_handler
from functions.worker.app import handler as worker_handler
from local.lambda_events import Answer, LambdaContext, http_event, invoke
from local.queue import Queue
from taskchat.database import database
from taskchat.models import Conversation, Task, Turn, TurnStatus
from taskchat.process import turn_queue
from taskchat.settings import settings
from tests.functions.conftest import Post
from tests.support.leases import let_every_wait_run_out
from tests.support.owner import as_owner
from tests.support.scripted_model import ScriptedModel, calls, hangs, says, status

ADD_MILK = {"message": "Add milk"}
MILK = calls(("create_task", {"title": "Milk"}))
ASYNC = {"Prefer": "respond-async"}
NONE_FAILED: dict[str, list[Any]] = {"batchItemFailures": []}

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """Return the queue that the functions are told of."""
    environment: dict[str, str] = {}
    with Queue() as queue:
        queue.configure(environment)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        turn_queue.cache_clear()
        yield queue
        turn_queue.cache_clear()


def send(body: str) -> Any:
    record = {"messageId": "1", "receiptHandle": "1", "body": body, "eventSource": "aws:sqs", "attributes": {}}
    return worker_handler({"Records": [record]}, LambdaContext(lambda: 900_000))


def work(queue: Queue) -> Any:
    """Hand over one message, which has to be there."""
    message = queue.receive()
    assert message is not None
    return send(message.body)


def turn(method: str, turn_id: str, user: str = "ann", **headers: str) -> Answer:
    event = http_event(method, f"/turns/{turn_id}", headers=headers, user=user)
    event["routeKey"], event["pathParameters"] = f"{method} /turns/{{id}}", {"id": turn_id}
    return invoke(chat_handler, event)


def statuses() -> list[TurnStatus]:
    return list(as_owner(database(), lambda connection: connection.execute(select(col(Turn.status))).scalars().all()))


def titles() -> list[str]:
    return list(as_owner(database(), lambda connection: connection.execute(select(col(Task.title))).scalars().all()))


def test_an_accepted_message_is_answered_by_the_worker(
    post_chat: Post, queue: Queue, scripted_model: ScriptedModel
) -> None:
    accepted = post_chat(ADD_MILK, headers=ASYNC)
    turn_id = accepted.body["id"]
    assert accepted.status == 202
    assert accepted.headers["location"] == f"/turns/{turn_id}"
    assert accepted.headers["preference-applied"] == "respond-async"
    assert accepted.headers["idempotency-key"]
    assert (accepted.body["status"], accepted.body["response"]) == ("queued", None)

    scripted_model.script(MILK, says("Added."))
    assert work(queue) == NONE_FAILED
    done = turn("GET", turn_id)
    assert (done.body["status"], done.body["response"]) == ("finished", "Added.")
    assert [call["tool"] for call in done.body["tool_calls"]] == ["create_task"]
    assert done.body["usage"]["model"] == "scripted-model"
    assert "retry-after" not in done.headers


@pytest.mark.usefixtures("queue")
def test_the_prefix_of_a_domain_is_part_of_the_location(post_chat: Post) -> None:
    accepted = post_chat(ADD_MILK, headers=ASYNC, prefix="/v1")
    assert accepted.headers["location"] == f"/v1/turns/{accepted.body['id']}"


def test_the_same_request_finds_its_queued_turn(post_chat: Post, queue: Queue, scripted_model: ScriptedModel) -> None:
    headers = {**ASYNC, "Idempotency-Key": "once"}
    first, second = (post_chat(ADD_MILK, headers=headers) for _ in range(2))
    assert (second.status, second.body["id"]) == (202, first.body["id"])
    scripted_model.script(says("Hello."))
    work(queue)
    replayed = post_chat(ADD_MILK, headers=headers)
    assert (replayed.status, replayed.body["response"]) == (200, "Hello.")
    assert replayed.headers["idempotent-replayed"] == "true"
    assert work(queue) == NONE_FAILED
    assert len(scripted_model.requests) == 1


@pytest.mark.usefixtures("queue")
def test_a_client_that_waits_gets_the_whole_answer(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    answer = post_chat(ADD_MILK, headers={"Prefer": "respond-async, wait=20"})
    assert (answer.status, answer.body["response"]) == (200, "Hello.")
    assert turn("GET", answer.body["turn_id"]).body["response"] == "Hello."


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("wait_seconds", [4, 5])
def test_a_wait_too_short_for_an_answer_costs_no_attempt(
    post_chat: Post, scripted_model: ScriptedModel, wait_seconds: int
) -> None:
    answer = post_chat(ADD_MILK, headers={"Prefer": f"respond-async, wait={wait_seconds}"})
    assert (answer.status, answer.body["status"]) == (202, "queued")
    assert answer.headers["preference-applied"] == f"respond-async, wait={wait_seconds}"
    scripted_model.script(says("Hello."))
    assert send(json.dumps({"turn_id": answer.body["id"]})) == NONE_FAILED
    assert turn("GET", answer.body["id"]).body["status"] == "finished"


@pytest.mark.usefixtures("queue")
def test_a_client_whose_wait_is_over_gets_the_turn(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(hangs())
    answer = post_chat(ADD_MILK, headers={"Prefer": "respond-async, wait=6"})
    assert (answer.status, answer.body["status"]) == (202, "interrupted")
    assert answer.headers["preference-applied"] == "respond-async, wait=6"
    scripted_model.script(says("Hello."))
    assert send(json.dumps({"turn_id": answer.body["id"]})) == NONE_FAILED
    assert turn("GET", answer.body["id"]).body["status"] == "finished"


@pytest.mark.usefixtures("queue")
def test_a_permanent_failure_is_no_202(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(status(401))
    answer = post_chat(ADD_MILK, headers={"Prefer": "respond-async, wait=20"})
    assert (answer.status, answer.body["code"]) == (502, "model-failed")


@pytest.mark.usefixtures("queue")
def test_an_interrupted_turn_says_where_it_goes_on(post_chat: Post) -> None:
    answer = post_chat(ADD_MILK, remaining_ms=lambda: 5_000)
    assert (answer.status, answer.body["code"]) == (503, "turn-interrupted")
    assert "retry-after" in answer.headers
    under_way = turn("GET", answer.headers["location"].rpartition("/")[2])
    assert (under_way.body["status"], under_way.headers["retry-after"]) == ("interrupted", "1")


def test_without_a_queue_the_preference_is_ignored(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    answer = post_chat(ADD_MILK, headers=ASYNC)
    assert (answer.status, answer.body["response"]) == (200, "Hello.")
    assert "preference-applied" not in answer.headers


def test_a_turn_that_did_not_change_is_not_sent_again(
    post_chat: Post, queue: Queue, scripted_model: ScriptedModel
) -> None:
    turn_id = post_chat(ADD_MILK, headers=ASYNC).body["id"]
    tag = turn("GET", turn_id).headers["etag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        unchanged = turn("GET", turn_id, **{"If-None-Match": sent})
        assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, None, tag)
        assert unchanged.headers["retry-after"] == "1"
    scripted_model.script(says("Hello."))
    work(queue)
    changed = turn("GET", turn_id, **{"If-None-Match": tag})
    assert (changed.status, changed.body["status"]) == (200, "finished")


def test_a_turn_is_cancelled_once_and_for_all(post_chat: Post, queue: Queue, scripted_model: ScriptedModel) -> None:
    turn_id = post_chat(ADD_MILK, headers={**ASYNC, "Idempotency-Key": "key"}).body["id"]
    assert [turn("DELETE", turn_id).status for _ in range(2)] == [204, 204]
    assert work(queue) == NONE_FAILED
    assert scripted_model.requests == []
    assert turn("GET", turn_id).body["status"] == "cancelled"
    again = post_chat(ADD_MILK, headers={"Idempotency-Key": "key"})
    assert (again.status, again.body["code"]) == (409, "turn-cancelled")


@pytest.mark.usefixtures("queue")
def test_a_finished_turn_cannot_be_cancelled(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    turn_id = post_chat(ADD_MILK).body["turn_id"]
    answer = turn("DELETE", turn_id)
    assert (answer.status, answer.body["code"]) == (409, "turn-finished")


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_foreign_turn_is_as_unknown_as_any(post_chat: Post, method: str) -> None:
    turn_id = post_chat(ADD_MILK, headers=ASYNC).body["id"]
    unknown = str(uuid.uuid4())
    foreign, missing = turn(method, turn_id, user="bob"), turn(method, unknown, user="bob")
    assert (foreign.status, foreign.body["code"]) == (404, "not-found")
    assert foreign.body["detail"] == missing.body["detail"].replace(unknown, turn_id)
    assert statuses() == [TurnStatus.QUEUED]


def test_a_rate_limit_delays_the_turn_and_not_the_queue(
    post_chat: Post, queue: Queue, scripted_model: ScriptedModel, log: io.StringIO
) -> None:
    scripted_model.script(status(429, {"Retry-After": "30"}), says("Hello."))
    turn_id = post_chat(ADD_MILK, headers=ASYNC).body["id"]
    assert work(queue) == NONE_FAILED
    assert statuses() == [TurnStatus.INTERRUPTED]
    assert "model-rate-limited" in log.getvalue()
    assert queue.waiting_seconds() == [pytest.approx(30, abs=5)]
    assert send(json.dumps({"turn_id": turn_id})) == NONE_FAILED
    assert statuses() == [TurnStatus.FINISHED]


@pytest.mark.usefixtures("queue")
def test_a_database_that_is_away_makes_the_message_come_again(post_chat: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    turn_id = post_chat(ADD_MILK, headers=ASYNC).body["id"]
    database().dispose()
    database.cache_clear()
    settings.cache_clear()
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere/at/all.sqlite3")
    assert send(json.dumps({"turn_id": turn_id})) == {"batchItemFailures": [{"itemIdentifier": "1"}]}


@pytest.mark.parametrize("body", ["", "{}", '{"turn_id": 7}', '{"turn_id": "x"}', "[]"])
@pytest.mark.usefixtures("chat_handler")
def test_a_message_without_a_turn_is_a_failure(body: str, log: io.StringIO) -> None:
    assert send(body) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert "defect" in log.getvalue()


def test_the_sweep_queues_what_was_lost(post_chat: Post, queue: Queue, scripted_model: ScriptedModel) -> None:
    post_chat(ADD_MILK, headers=ASYNC)
    assert queue.receive() is not None
    let_every_wait_run_out(database())
    assert worker_handler({"action": "sweep"}, LambdaContext(lambda: 900_000)) == {"queued": 1}
    scripted_model.script(MILK, says("Added."))
    work(queue)
    assert (statuses(), titles()) == ([TurnStatus.FINISHED], ["Milk"])


def test_a_sweep_deletes_what_was_kept_for_long_enough(
    post_chat: Post, scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_model.script(says("Hello"))
    assert post_chat({"message": "Hi"}).status == 200
    monkeypatch.setenv("RETENTION_DAYS", "30")
    settings.cache_clear()
    sweep = {"action": "sweep"}
    assert worker_handler(sweep, LambdaContext(lambda: 900_000)) == {"queued": 0, "forgotten": 0}
    long_ago = datetime.now(UTC) - timedelta(days=31)
    as_owner(database(), lambda connection: connection.execute(update(Conversation).values(updated_at=long_ago)))
    assert worker_handler(sweep, LambdaContext(lambda: 900_000)) == {"queued": 0, "forgotten": 1}


@pytest.mark.usefixtures("queue")
def test_a_queue_that_is_away_costs_the_client_nothing(
    post_chat: Post, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{closed_port}")
    turn_queue.cache_clear()
    accepted = post_chat(ADD_MILK, headers=ASYNC)
    assert accepted.status == 202
    assert statuses() == [TurnStatus.QUEUED]
