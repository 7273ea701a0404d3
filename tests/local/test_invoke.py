"""`make invoke` gives a function the database that its caller means, and reports every failure in one line."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from local.emulator import BuiltFunction
from local.environment import SQLITE_FILE, StartError
from local.invoke import main, variables_for

DECLARED = dict.fromkeys(("DATABASE_URL", "DATABASE_URL_UNPOOLED", "OPENAI_BASE_URL"), "")
FUNCTION = BuiltFunction("Test", "app.handler", Path("/no/such"), [], 10, 128, environment=DECLARED)


@pytest.mark.parametrize("given", [{}, {"DATABASE_URL_UNPOOLED": "sqlite:////srv/tasks.db"}])
def test_without_a_database_it_is_the_one_of_make_run(given: dict[str, str]) -> None:
    variables = variables_for(FUNCTION, {"PATH": "/bin", **given})
    assert make_url(variables.pop("DATABASE_URL")).database == str(SQLITE_FILE)
    assert variables == {}


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_URL_UNPOOLED"])
def test_a_relative_file_is_relative_to_the_caller(name: str) -> None:
    # The function runs in another folder, where the same URL would name another file.
    variables = variables_for(FUNCTION, {"DATABASE_URL": "sqlite:////srv/tasks.db", name: "sqlite:///a%3Fb/tasks.db"})
    assert make_url(variables[name]).database == str(Path.cwd() / "a?b" / "tasks.db")


@pytest.mark.parametrize("url", ["postgresql://ann:se%24ame@host/tasks?sslmode=require", "sqlite:////srv/tasks.db"])
def test_other_databases_are_passed_on_as_they_are(url: str) -> None:
    assert variables_for(FUNCTION, {"DATABASE_URL": url})["DATABASE_URL"] == url


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(StartError, match="OPENAI_BASE_URL"):
        variables_for(FUNCTION, {"OPENAI_BASE_URL": "http://127.0.0.1:port/v1"})


def test_an_unknown_function_or_event_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text("{", encoding="utf-8")
    for arguments in (["NoFunction", "no-event.json"], ["NoFunction", str(tmp_path / "event.json")]):
        assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line.partition(":")[0] for line in shown.err.splitlines()] == ["taskchat", "taskchat"]
