"""`make run` end to end: a real process, real HTTP, the real functions, the offline model, a SQLite file."""

import json
import shlex
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.local.conftest import Running, Start, environment, run
from tests.support.scripted_model import ReceivedRequest, ScriptedModel, Silence, hangs

TIMEOUT_SECONDS = 60

# On one worker, because starting takes longer than everything else here.
pytestmark = pytest.mark.xdist_group("make run")


def fetch(running: Running, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(  # noqa: S310 - the URL is one of ours
        running.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, json.loads(answer.read())


def say(running: Running, message: str, **fields: Any) -> dict[str, Any]:
    status, answer = fetch(running, "POST", "/chat", {"message": message, **fields})
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


@pytest.fixture(scope="module")
def running(start: Start) -> Running:
    return start()


def test_it_says_where_it_answers_with_which_model_and_database(running: Running) -> None:
    assert running.url.startswith("http://127.0.0.1:")
    assert "offline" in running.welcome
    assert ".local/taskchat.sqlite3" in running.welcome


def test_the_command_that_it_shows_works(running: Running) -> None:
    shown = running.welcome[running.welcome.index("curl") :].replace("\\\n", " ")
    _curl, _silent, url, _header_flag, header, _data_flag, data = shlex.split(shown)
    assert (url, header) == (f"{running.url}/chat", "Content-Type: application/json")
    assert [call["tool"] for call in say(running, json.loads(data)["message"])["tool_calls"]] == ["create_task"]


def test_a_person_manages_tasks_by_chatting(running: Running) -> None:
    added = say(running, "Add a task to prepare the meeting tomorrow", timezone="Europe/Berlin")
    conversation = added["conversation_id"]
    (created,) = added["tool_calls"]
    number = created["result"]["id"]
    assert added["response"].startswith(f'Added "Prepare the meeting" as task {number}, due tomorrow (')

    listed = say(running, "What's pending?", conversation_id=conversation)
    assert f"task {number}: Prepare the meeting" in listed["response"]

    changed = say(running, f"Change task {number} to 'Hold the meeting'", conversation_id=conversation)
    assert changed["response"].startswith(f'Changed task {number}: it is now "Hold the meeting"')

    done = say(running, "Mark it as done", conversation_id=conversation)
    assert [call["tool"] for call in done["tool_calls"]] == ["complete_task"]
    assert f"task {number}" in say(running, "What have I completed?", conversation_id=conversation)["response"]

    deleted = say(running, "Delete the meeting task", conversation_id=conversation)
    assert [call["tool"] for call in deleted["tool_calls"]] == ["list_tasks", "delete_task"]

    status, messages = fetch(running, "GET", f"/conversations/{conversation}/messages")
    assert status == 200
    assert [item["content"] for item in messages["items"] if item["role"] == "user"] == [
        "Add a task to prepare the meeting tomorrow",
        "What's pending?",
        f"Change task {number} to 'Hold the meeting'",
        "Mark it as done",
        "What have I completed?",
        "Delete the meeting task",
    ]


def test_each_name_has_tasks_and_conversations_of_its_own(running: Running) -> None:
    conversation = say(running, "Add a task to sweep")["conversation_id"]
    status, mine = fetch(running, "GET", "/conversations")
    assert status == 200
    assert conversation in [item["id"] for item in mine["items"]]
    status, anns = fetch(running, "GET", "/conversations", Authorization="Bearer local:ann")
    assert (status, anns["items"]) == (200, [])
    status, problem = fetch(running, "GET", f"/conversations/{conversation}", Authorization="Bearer local:ann")
    assert (status, problem["code"]) == (404, "not-found")
    assert fetch(running, "GET", "/conversations", Authorization="Bearer other") == (401, {"message": "Unauthorized"})


def test_the_same_key_is_answered_twice_and_done_once(running: Running) -> None:
    body = {"message": "Add a task to water the plants"}
    first, second = (
        fetch(running, "POST", "/chat", body, **{"Idempotency-Key": "once", "Authorization": "Bearer local:key"})
        for _ in range(2)
    )
    assert first == second
    status, conversations = fetch(running, "GET", "/conversations", Authorization="Bearer local:key")
    assert (status, len(conversations["items"])) == (200, 1)


def test_a_second_start_on_another_port_shares_the_database(running: Running, start: Start) -> None:
    say(running, "Add a task to feed the unicorn")
    second = start()
    assert second.port != running.port
    assert "feed the unicorn" in say(second, "Show me all my tasks")["response"].lower()
    assert second.stop(signal.SIGINT) == (0, "")
    assert say(running, "Show me all my tasks")["tool_calls"]


def test_a_port_in_use_is_one_line_and_harms_nobody(running: Running, clone: Path) -> None:
    second = run(clone, PORT=str(running.port))
    assert (second.returncode, second.stdout) == (1, "")
    (line,) = second.stderr.splitlines()
    assert line.startswith(f"taskchat: port {running.port} cannot be used: Address already in use.")
    assert say(running, "hi")["response"]


@pytest.mark.parametrize("port", ["abc", "-1", "65536", "3000.5"])
def test_a_port_that_is_none_is_one_line(clone: Path, port: str) -> None:
    ended = run(clone, PORT=port)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"taskchat: PORT must be a number up to 65535, not {port!r}.\n"


@pytest.mark.parametrize(
    "url", ["postgresql://ann:sesame@127.0.0.1:{closed}/tasks", "sesame", "sqlite:////no/such/folder/x"]
)
def test_a_database_that_cannot_be_used_is_one_line_without_its_password(clone: Path, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    ended = run(clone, DATABASE_URL=url.format(closed=closed))
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("taskchat: ")
    assert "sesame" not in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_even_in_the_middle_of_a_request(start: Start, number: signal.Signals) -> None:
    outcome: tuple[int, str] | None = None

    def stop(_request: ReceivedRequest) -> Silence:
        nonlocal outcome
        outcome = started.stop(number)
        return hangs()

    with ScriptedModel() as model, ThreadPoolExecutor() as executor:
        model.script(stop)
        started: Running = start(OPENAI_BASE_URL=model.base_url)
        assert f"at {model.base_url}" in started.welcome
        asked = executor.submit(fetch, started, "POST", "/chat", {"message": "hi"})
        # The one who asked is told that it did not work, or is cut off; a new attempt goes on elsewhere.
        error = asked.exception(TIMEOUT_SECONDS)
        assert asked.result()[0] == 503 if error is None else isinstance(error, OSError)
    assert outcome == (0, "")


def test_the_functions_end_when_the_gateway_is_killed(start: Start) -> None:
    status, complaints = start().stop(signal.SIGKILL)
    assert (status, complaints) == (-signal.SIGKILL, "")


def test_the_console_shows_a_line_for_each_request_and_nothing_that_was_said(start: Start, clone: Path) -> None:
    running = start()
    say(running, "Add a task to whisper a secret")
    running.process.send_signal(signal.SIGINT)
    shown, complaints = running.process.communicate(timeout=20)
    (line,) = shown.splitlines()
    assert line.startswith("POST /chat 200 ")
    assert complaints == ""
    assert "whisper" not in (clone / ".local" / "functions.log").read_text(encoding="utf-8")


def test_a_person_can_talk_at_the_console_in_one_conversation(running: Running, clone: Path) -> None:
    talk = subprocess.run(
        [sys.executable, "-m", "local.chat"],
        cwd=clone,
        env=environment(PORT=str(running.port)),
        input="Add a task to tune the piano\n\nMark it as done\n",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert (talk.returncode, talk.stderr) == (0, "")
    added, done = talk.stdout.splitlines()
    assert added.startswith('Added "Tune the piano" as task ')
    assert done.startswith("Marked task ")
    assert '"Tune the piano"' in done


def test_the_console_says_when_nothing_answers(clone: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = str(server.getsockname()[1])
    talk = subprocess.run(
        [sys.executable, "-m", "local.chat"],
        cwd=clone,
        env=environment(PORT=closed),
        input="hi\n",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert (talk.returncode, talk.stderr) == (0, "")
    assert "is `make run` running?" in talk.stdout
