"""`make doctor` says in plain words whether a provider works, and which setting to change."""

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from local import doctor
from taskchat.settings import settings
from tests.support.picky_providers import openai_chat, openai_error, picky
from tests.support.scripted_model import MODEL_NAME, ScriptedModel, Usage, calls, raw, says, status

LIST = calls(("list_tasks", {}))
HELLO = says("You have none.", usage=Usage(prompt_tokens=1_500, cached_tokens=1_280))


@pytest.fixture
def examine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """Return a run of the doctor in an environment: its status and what it printed."""

    def run(**environment: str) -> tuple[int, str]:
        for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_SECRET", "OPENAI_BASE_URL", "OPENAI_API", "OPENAI_MODEL"):
            monkeypatch.setenv(name, environment.get(name, ""))
        settings.cache_clear()
        return doctor.main(), capsys.readouterr().out

    yield run
    settings.cache_clear()


@pytest.fixture
def provider(scripted_model: ScriptedModel) -> dict[str, str]:
    return {"OPENAI_BASE_URL": scripted_model.base_url, "OPENAI_API_KEY": "key", "OPENAI_MODEL": MODEL_NAME}


@pytest.fixture
def scripted_model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


Examine = Callable[..., tuple[int, str]]


@pytest.mark.parametrize("api", ["responses", "chat-completions"])
def test_a_provider_that_works_is_called_so(
    examine: Examine, scripted_model: ScriptedModel, provider: dict[str, str], api: str
) -> None:
    scripted_model.script(LIST, HELLO)
    result, printed = examine(**provider, OPENAI_API=api)
    assert result == 0
    assert "works: 1,280 of 1,500 input tokens" in printed
    assert "has not announced its end" in printed
    assert printed.endswith("The provider works.\n")
    assert len(scripted_model.requests) == 2


def test_without_a_provider_it_checks_the_offline_model(examine: Examine) -> None:
    result, printed = examine()
    assert result == 0
    assert "Set OPENAI_API_KEY or OPENAI_BASE_URL" in printed


@pytest.mark.parametrize(("days", "result"), [(10, 1), (100, 0)])
def test_a_model_that_ends_is_named_with_its_date(
    examine: Examine, scripted_model: ScriptedModel, provider: dict[str, str], days: int, result: int
) -> None:
    last_day = (datetime.now(UTC) + timedelta(days=days)).date()
    model = {"id": MODEL_NAME, "object": "model", "shutdown_date": last_day.isoformat()}
    scripted_model.models = raw(json.dumps({"data": [model]}).encode())
    scripted_model.script(LIST, HELLO)
    found, printed = examine(**provider)
    assert found == result
    assert f"shuts down on {last_day:%d %B %Y}, in {days} days. Choose another with OPENAI_MODEL" in printed


def test_a_refused_key_ends_it(examine: Examine, scripted_model: ScriptedModel, provider: dict[str, str]) -> None:
    scripted_model.models = status(401)
    result, printed = examine(**provider)
    assert result == 1
    assert "! key        the provider refused the key (401): check OPENAI_API_KEY" in printed
    assert scripted_model.requests == []


def test_a_model_that_is_not_listed_is_still_tried(
    examine: Examine, scripted_model: ScriptedModel, provider: dict[str, str]
) -> None:
    scripted_model.models = raw(b'{"data": [{"id": "scripted-other"}, {"id": "unlike"}]}')
    scripted_model.script(openai_error("The model does not exist", None, "model_not_found", 404))
    result, printed = examine(**provider)
    assert result == 1
    assert "it has scripted-other. Check OPENAI_MODEL" in printed
    assert "OPENAI_MODEL and OPENAI_BASE_URL" in printed


def test_a_provider_without_a_list_of_models_is_tried(
    examine: Examine, scripted_model: ScriptedModel, provider: dict[str, str]
) -> None:
    scripted_model.models = status(404)
    scripted_model.script(LIST, HELLO)
    result, printed = examine(**provider)
    assert (result, "no list of models" in printed) == (0, True)


def test_a_model_without_tool_calls_is_a_fault(
    examine: Examine, scripted_model: ScriptedModel, provider: dict[str, str]
) -> None:
    scripted_model.script(says("I cannot call tools."))
    result, printed = examine(**provider)
    assert (result, "answered in words" in printed) == (1, True)


def test_what_a_provider_refuses_is_reported(
    examine: Examine, scripted_model: ScriptedModel, provider: dict[str, str]
) -> None:
    scripted_model.script(*picky(LIST, HELLO, rules=(openai_chat,)))
    result, printed = examine(**provider)
    assert result == 0
    assert "max_tokens is left out" in printed
    assert "reasoning_effort is none" in printed


def test_an_unreachable_provider_is_said_once(examine: Examine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result, printed = examine(OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1", OPENAI_API_KEY="key")
    assert result == 1
    assert printed.count("\n! ") + printed.startswith("! ") == 1
    assert "check OPENAI_BASE_URL" in printed


def test_a_setting_without_sense_is_named(examine: Examine) -> None:
    result, printed = examine(OPENAI_API_KEY="key", OPENAI_API="telepathy")
    assert (result, "OPENAI_API" in printed) == (1, True)


def test_a_provider_that_reports_no_tokens_is_said_to(
    examine: Examine, scripted_model: ScriptedModel, provider: dict[str, str]
) -> None:
    scripted_model.script(LIST, raw(b'{"choices": [{"message": {"content": "None."}}]}'))
    _result, printed = examine(**provider)
    assert "reports no tokens" in printed
