"""SnapStart: the hooks, as Lambda's runtime runs them before a snapshot and after a restore."""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import snapshot_restore_py  # type: ignore[import-untyped]
from awslambdaric.lambda_runtime_hooks_runner import (  # type: ignore[import-untyped]
    run_after_restore,
    run_before_snapshot,
)
from sqlalchemy import text

from local.lambda_events import http_event, invoke
from taskchat import snapshot
from taskchat.database import Database, database
from taskchat.errors import SecretUnavailableError
from taskchat.process import provider
from taskchat.settings import Settings, SettingsError, settings
from taskchat.snapshot import around_snapshot
from tests.support.fresh_process import result_of
from tests.support.owner import as_owner
from tests.support.scripted_model import ScriptedModel, says

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@pytest.fixture
def registered() -> Iterator[None]:
    """Register the hooks of the chat function as its module does at import, and nothing else."""
    hooks = (snapshot_restore_py.get_before_snapshot(), snapshot_restore_py.get_after_restore())
    for kept in hooks:
        kept.clear()
    around_snapshot(provider.close)
    yield
    for kept in hooks:
        kept.clear()


def session_of_the_server(database: Database) -> int:
    return int(as_owner(database, lambda connection: connection.execute(text("SELECT pg_backend_pid()")).scalar_one()))


@pytest.mark.usefixtures("registered", "chat_handler")
@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_snapshot_holds_no_connection_and_a_restore_opens_one(database_url: str) -> None:
    before = session_of_the_server(database())

    run_before_snapshot()
    watcher = Database(lambda: database_url)
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    during = as_owner(watcher, lambda connection: connection.execute(text(others)).scalar_one())
    run_after_restore()
    after = as_owner(watcher, lambda connection: connection.execute(text(others)).scalar_one())
    watcher.dispose()

    assert (during, after) == (0, 1)
    assert session_of_the_server(database()) != before


@pytest.mark.usefixtures("registered", "chat_handler")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_snapshot_is_made_without_asking_for_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Settings, "resolve_openai_api_key", lambda _: asked.append("key"))
    monkeypatch.setattr(Settings, "resolve_database_url", lambda _: asked.append("url"))

    run_before_snapshot()

    assert asked == []


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_snapshot_holds_no_connection_and_no_key(
    chat_handler: Handler, scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys_sent() -> list[str]:
        scripted_model.script(says("Hello."))
        assert invoke(chat_handler, http_event("POST", "/chat", body={"message": "hello"})).status == 200
        return [request.headers["authorization"] for request in scripted_model.requests]

    assert keys_sent() == ["Bearer key"]
    monkeypatch.setenv("OPENAI_API_KEY", "another key")
    settings.cache_clear()
    run_before_snapshot()
    run_after_restore()

    assert keys_sent() == ["Bearer key", "Bearer another key"]


@pytest.mark.parametrize(
    ("variable", "loaded"), [("DATABASE_URL_SECRET", True), ("OPENAI_API_KEY_SECRET", True), ("DATABASE_URL", False)]
)
def test_a_snapshot_holds_the_aws_sdk_if_a_secret_is_named(variable: str, loaded: bool) -> None:
    program = """
import json, sys
from functions.conversations import app
from awslambdaric.lambda_runtime_hooks_runner import run_before_snapshot
assert "boto3" not in sys.modules
run_before_snapshot()
print(json.dumps("boto3" in sys.modules))
"""
    environment = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    assert result_of(program, {**environment, variable: "postgresql://name"}) is loaded


@pytest.mark.usefixtures("registered", "chat_handler")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_restored_instances_share_no_random_numbers() -> None:
    random.seed(1)
    run_before_snapshot()
    frozen = random.getstate()
    states = []
    for _ in range(2):
        random.setstate(frozen)
        run_after_restore()
        states.append(random.getstate())

    assert states[0] != states[1]


SAME_PROCESS_ID = """
import os, sys
# OpenSSL seeds its generator anew when the process id changes, which a restore of a snapshot does not do. Each process
# here is the first of its own namespace and therefore has the id 1.
os.unshare(os.CLONE_NEWPID)
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
import json, ssl
from functions.conversations import app
from awslambdaric.lambda_runtime_hooks_runner import run_after_restore, run_before_snapshot
ssl.RAND_bytes(8)
run_before_snapshot()
reading, writing = os.pipe()
os.unshare(os.CLONE_NEWPID)
if not os.fork():
    RESTORE
    os.write(writing, ssl.RAND_bytes(8).hex().encode())
    os._exit(0)
os.wait()
RESTORE
print(json.dumps([os.getpid(), os.read(reading, 16).decode(), ssl.RAND_bytes(8).hex()]))
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="process id namespaces need root on Linux")
@pytest.mark.parametrize(("restore", "is_shared"), [("pass", True), ("run_after_restore()", False)])
def test_restored_instances_share_no_tls_random_numbers(tmp_path: Path, restore: str, is_shared: bool) -> None:
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/taskchat.sqlite3"}
    process_id, one, other = result_of(SAME_PROCESS_ID.replace("RESTORE", restore), environment)
    assert process_id == 1
    assert (one == other) is is_shared


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_sleeping_database_does_not_fail_the_restore(
    chat_handler: Handler, monkeypatch: pytest.MonkeyPatch, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{closed_port}/none")
    monkeypatch.setattr(snapshot, "CONNECT_SECONDS", 0.5)
    run_before_snapshot()
    run_after_restore()

    # The request repeats its attempts, within a time that is short here.
    event = http_event("POST", "/chat", body={"message": "hello"})
    answer = invoke(chat_handler, event, remaining_ms=lambda: 4_000)

    assert "no connection after the restore" in caplog.text
    assert answer.status == 503
    assert answer.body["code"] == "database-unavailable"


@pytest.mark.usefixtures("registered", "chat_handler")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("error", [SecretUnavailableError("no", retry_after_seconds=1), SettingsError("no"), OSError()])
def test_no_error_leaves_the_restore(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Settings) -> str:
        raise error

    run_before_snapshot()
    monkeypatch.setattr(Settings, "resolve_database_url", fail)
    run_after_restore()

    assert f"the first request tries again: {type(error).__name__}" in caplog.text


@pytest.mark.usefixtures("registered", "chat_handler")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_slow_secret_leaves_less_time_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    now = time.monotonic()
    ticks = iter([now, now + 6.0])
    run_before_snapshot()
    with monkeypatch.context() as patch:
        patch.setattr(Database, "connect", lambda _, seconds: waits.append(seconds))
        patch.setattr(time, "monotonic", lambda: next(ticks))
        run_after_restore()

    assert waits == [pytest.approx(2.0)]
