"""`make run` end to end: a real process, real HTTP, the real functions, the offline model, a SQLite file."""

import json
import os
import select
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.local.conftest import Running, Start, environment, instances, run
from tests.support.scripted_model import ReceivedRequest, ScriptedModel, Silence, calls, hangs

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


@pytest.fixture
def own_database(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the URL of a database of the test's own.

    A start continues the unfinished turns of its database, and would ask a scripted model for those of other tests.
    """
    path = tmp_path / "taskchat.sqlite3"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def running(start: Start) -> Running:
    return start()


def test_the_welcome_names_address_model_and_database(running: Running) -> None:
    assert running.url.startswith("http://127.0.0.1:")
    assert "offline" in running.welcome
    assert ".local/taskchat.sqlite3" in running.welcome


def test_the_command_of_the_welcome_works(running: Running) -> None:
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


def test_a_second_start_shares_the_database(running: Running, start: Start) -> None:
    say(running, "Add a task to feed the unicorn")
    second = start()
    assert second.port != running.port
    assert "feed the unicorn" in say(second, "Show me all my tasks")["response"].lower()
    second.process.send_signal(signal.SIGINT)
    shown, complaints = second.process.communicate(timeout=TIMEOUT_SECONDS)
    assert (second.process.returncode, complaints) == (0, "")
    # The console shows each request, but no message.
    (line,) = shown.splitlines()
    assert line.startswith("POST /chat 200 ")
    assert "unicorn" not in (second.folder / ".local" / "functions.log").read_text(encoding="utf-8")
    assert say(running, "Show me all my tasks")["tool_calls"]


def test_a_port_in_use_is_refused_in_one_line(running: Running, clone: Path) -> None:
    second = run(clone, PORT=str(running.port))
    assert (second.returncode, second.stdout) == (1, "")
    (line,) = second.stderr.splitlines()
    assert line.startswith(f"taskchat: port {running.port} cannot be used: Address already in use.")
    assert say(running, "hi")["response"]


def test_a_setting_that_cannot_work_is_refused_in_one_line(clone: Path) -> None:
    ended = run(clone, DATABASE_URL="sqlite://")
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("taskchat: DATABASE_URL names an SQLite database in memory")


@pytest.mark.parametrize(
    "url", ["postgresql://ann:sesame@127.0.0.1:{closed}/tasks", "sesame", "sqlite:////no/such/folder/x"]
)
def test_an_unusable_database_is_refused_without_its_password(clone: Path, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    ended = run(clone, DATABASE_URL=url.format(closed=closed))
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("taskchat: ")
    assert "sesame" not in line


def test_a_signal_stops_everything_even_during_a_request(start: Start, own_database: str) -> None:
    outcome: tuple[int, str] | None = None

    def stop(_request: ReceivedRequest) -> Silence:
        nonlocal outcome
        outcome = started.stop(signal.SIGINT)
        return hangs()

    with ScriptedModel() as model, ThreadPoolExecutor() as executor:
        model.script(stop)
        started: Running = start(OPENAI_BASE_URL=model.base_url, DATABASE_URL=own_database)
        assert f"at {model.base_url}" in started.welcome
        asked = executor.submit(fetch, started, "POST", "/chat", {"message": "hi"})
        # The client gets a 503 or loses its connection, and may send the request again.
        error = asked.exception(TIMEOUT_SECONDS)
        assert asked.result()[0] == 503 if error is None else isinstance(error, OSError)
    assert outcome == (0, "")


def test_it_survives_a_lost_console(start: Start) -> None:
    running = start()
    assert running.process.stdout
    assert running.process.stderr
    running.process.stdout.close()
    running.process.stderr.close()
    for number in range(3):
        assert say(running, f"Add a task to count to {number}")["tool_calls"]
    running.process.send_signal(signal.SIGHUP)
    assert running.process.wait(TIMEOUT_SECONDS) == 0


def test_it_works_in_an_odd_shell_and_survives_a_hang_up(start: Start) -> None:
    odd = {"HOME": "/no/such", "TMPDIR": "/no/such", "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii"}
    # Offline it needs neither proxy nor certificates. The tests themselves bypass proxies.
    odd |= {"ALL_PROXY": "socks5://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "SSL_CERT_FILE": "/no/such"}
    odd |= {"NO_PROXY": "", "no_proxy": ""}
    running = start(("nohup",), **odd)
    assert "curl --noproxy '*' -s" in running.welcome
    running.process.send_signal(signal.SIGHUP)
    assert say(running, "Add a task to greet Jörg")["response"].startswith('Added "Greet Jörg"')
    status, complaints = running.stop(signal.SIGTERM)
    assert (status, [line for line in complaints.splitlines() if not line.startswith("nohup:")]) == (0, [])


def finished(running: Running, turn_id: str) -> dict[str, Any]:
    """Return a turn when it is over."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        status, turn = fetch(running, "GET", f"/turns/{turn_id}")
        assert status == 200, turn
        if turn["status"] not in {"queued", "running", "interrupted"}:
            return dict(turn)
        time.sleep(0.05)
    raise AssertionError(f"the turn does not end: {turn}")


def test_killed_functions_are_replaced_and_end_with_it(start: Start) -> None:
    running = start()
    for process_id in instances(running.process.pid):
        os.kill(process_id, signal.SIGKILL)
    status, turn = fetch(running, "POST", "/chat", {"message": "Add a task to rest"}, Prefer="respond-async")
    assert status in {202, 500}
    if status == 500:
        status, turn = fetch(running, "POST", "/chat", {"message": "Add a task to rest"}, Prefer="respond-async")
    assert finished(running, turn["id"])["response"].startswith('Added "Rest"')
    functions = [os.pidfd_open(process_id) for process_id in instances(running.process.pid)]
    assert running.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    assert functions
    for function in functions:
        assert select.select([function], [], [], TIMEOUT_SECONDS)[0]
        os.close(function)


def test_a_turn_outlives_the_program(start: Start, own_database: str) -> None:
    with ScriptedModel() as model:
        has_asked = threading.Event()

        def hang(_request: ReceivedRequest) -> Silence:
            has_asked.set()
            return hangs()

        model.script(hang)
        running: Running = start(OPENAI_BASE_URL=model.base_url, DATABASE_URL=own_database)
        status, accepted = fetch(running, "POST", "/chat", {"message": "Add a task to wait"}, Prefer="respond-async")
        assert status == 202
        assert has_asked.wait(TIMEOUT_SECONDS)
        functions = instances(running.process.pid)
        running.stop(signal.SIGKILL)
        # A function may go on after the program that started it, as in the cloud.
        for process_id in functions:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
    with closing(sqlite3.connect(own_database.removeprefix("sqlite:///"))) as database, database:
        database.execute("UPDATE turns SET lease_expires_at = '2026-01-01' WHERE status = 'running'")
    assert finished(start(DATABASE_URL=own_database), accepted["id"])["response"].startswith('Added "Wait"')


def test_functions_write_to_the_log_and_not_to_the_console(running: Running) -> None:
    (function, *_) = instances(running.process.pid)
    written_to = {Path(f"/proc/{function}/fd/{number}").readlink() for number in (1, 2)}
    assert written_to == {running.folder / ".local" / "functions.log"}


def chat(clone: Path, port: int, typed: bytes) -> list[str]:
    """Return the lines that `make chat` prints for what is typed."""
    talk = subprocess.run(
        [sys.executable, "-m", "local.chat"],
        cwd=clone,
        env=environment(PORT=str(port)),
        input=typed,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert (talk.returncode, talk.stderr) == (0, b"")
    return talk.stdout.decode().splitlines()


def test_make_chat_holds_one_conversation(running: Running, clone: Path) -> None:
    added, done = chat(clone, running.port, b"Add a task to tune the piano\n\nMark it as done\n")
    assert added.startswith('Added "Tune the piano" as task ')
    assert done.startswith("Marked task ")
    assert '"Tune the piano"' in done


def test_make_chat_undoes_and_edits(running: Running, clone: Path) -> None:
    typed = b"/undo\n/edit x\nAdd a task to tune the harp\n/undo\n/undo\n/edit Add a task to tune the lute\n/nope\n"
    early, edited_early, added, undone, redone, edited, unknown = chat(clone, running.port, typed)
    assert early == "     (there is nothing to undo yet)"
    assert edited_early == "     (there is no message to edit yet)"
    task = added.removeprefix('Added "Tune the harp" as task ').partition(".")[0].partition(" ")[0]
    assert undone == f'Task {task} "Tune the harp" is deleted.'
    assert redone == f'Task {task} "Tune the harp" is restored.'
    assert edited.startswith('Added "Tune the lute" as task ')
    assert unknown == "     (/undo, /edit TEXT and /usage are the commands)"
    titles = [item["title"] for item in fetch(running, "GET", "/tasks")[1]["items"]]
    assert "Tune the lute" in titles
    assert "Tune the harp" not in titles


def test_make_chat_tells_the_usage(running: Running, clone: Path) -> None:
    lines = chat(clone, running.port, b"hi\n/usage\n")
    assert any(line.startswith("turns: ") for line in lines)
    assert any(line.startswith("resets at: ") for line in lines)
    assert "limits:" in lines


def test_make_chat_says_why_a_line_is_refused(running: Running, clone: Path) -> None:
    too_long, not_utf8, fine = chat(clone, running.port, b"x" * 9_000 + b"\ncaf\xe9\nhi\n")
    assert too_long.startswith("     (message: ")
    assert "8000" in too_long
    assert not_utf8 == "     (this line is not valid UTF-8, so it was not sent)"
    assert not fine.startswith(" ")


def test_make_chat_says_when_nothing_answers(clone: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    (line,) = chat(clone, closed, b"hi\n")
    assert "is `make run` running?" in line


def test_control_c_in_make_chat_cancels_the_turn(start: Start, clone: Path, own_database: str) -> None:
    def interrupt(_request: ReceivedRequest) -> Silence:
        # The worker may ask the model before the chat has heard of its turn.
        assert heard.wait(TIMEOUT_SECONDS)
        talk.send_signal(signal.SIGINT)
        return hangs()

    heard = threading.Event()
    with ScriptedModel() as model:
        model.script(calls(("create_task", {"title": "Milk"})), interrupt)
        running = start(OPENAI_BASE_URL=model.base_url, DATABASE_URL=own_database)
        terminal, other_end = os.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "local.chat"],
            cwd=clone,
            env=environment(PORT=str(running.port)),
            stdin=subprocess.PIPE,
            stdout=other_end,
        ) as talk:
            os.close(other_end)
            watchdog = threading.Timer(TIMEOUT_SECONDS, talk.kill)
            watchdog.start()
            assert talk.stdin
            talk.stdin.write(b"Add milk\n")
            talk.stdin.flush()
            with os.fdopen(terminal, encoding="utf-8") as shown:
                assert shown.readline().strip() == "create_task ..."
                heard.set()
                assert shown.readline().strip() == "(cancelled; what was done until then stays)"
                talk.stdin.close()
                # The terminal stays open until the chat has ended.
                assert talk.wait(TIMEOUT_SECONDS) == 0
            watchdog.cancel()
            watchdog.join()
        status, conversations = fetch(running, "GET", "/conversations")
        assert status == 200
        number = conversations["items"][0]["id"]
        _, messages = fetch(running, "GET", f"/conversations/{number}/messages")
        assert [len(message["tool_calls"] or ()) for message in messages["items"]] == [0, 1]


def test_make_chat_ends_with_its_reader(running: Running, clone: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "local.chat"],
        cwd=clone,
        env=environment(PORT=str(running.port)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as talk:
        assert talk.stdout
        talk.stdout.close()
        _, complaints = talk.communicate(b"hi\nhi\n", timeout=TIMEOUT_SECONDS)
    assert (talk.returncode, complaints) == (0, b"")
