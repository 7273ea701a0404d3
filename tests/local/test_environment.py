"""The database and the model that a laptop's environment names."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from local.environment import (
    SQLITE_FILE,
    StartError,
    choose_database,
    describe_model,
    provider_url,
    read_port,
    sqlite_url,
    use_offline_model,
    wants_offline_model,
)

URL = "postgresql://ann:sesame@db.example:5432/tasks?sslmode=require"


@pytest.mark.parametrize("environment", [{}, {"DATABASE_URL": " "}, {"DATABASE_URL_UNPOOLED": URL}])
def test_the_default_database_is_a_file_also_for_migrations(environment: dict[str, str]) -> None:
    assert choose_database(environment).endswith(".local/taskchat.sqlite3")
    url = make_url(environment["DATABASE_URL"])
    assert (url.get_backend_name(), url.database) == ("sqlite", str(SQLITE_FILE))
    assert "DATABASE_URL_UNPOOLED" not in environment


def test_a_named_database_is_described_without_its_password() -> None:
    environment = {"DATABASE_URL": URL, "DATABASE_URL_UNPOOLED": URL}
    assert choose_database(environment) == "tasks at db.example"
    assert environment == {"DATABASE_URL": URL, "DATABASE_URL_UNPOOLED": URL}


def test_a_database_in_a_secret_is_described_by_its_name() -> None:
    environment = {"DATABASE_URL_SECRET": "taskchat/url"}
    assert choose_database(environment) == "the one in the secret taskchat/url"
    assert environment == {"DATABASE_URL_SECRET": "taskchat/url"}


def test_a_text_that_is_no_url_is_refused_and_not_shown() -> None:
    with pytest.raises(StartError) as caught:
        choose_database({"DATABASE_URL": "sesame"})
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "offline"),
    [
        ({}, True),
        ({"OPENAI_API_KEY": "", "OPENAI_BASE_URL": " "}, True),
        ({"OPENAI_MODEL": "gpt"}, True),
        ({"OPENAI_API_KEY": "key"}, False),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}, False),
        ({"OPENAI_API_KEY_SECRET": "name"}, False),
    ],
)
def test_the_offline_model_serves_unless_a_provider_is_set(environment: dict[str, str], *, offline: bool) -> None:
    assert wants_offline_model(environment) is offline


def test_the_offline_model_replaces_a_providers_settings() -> None:
    environment = {"OPENAI_ORG_ID": "schlüssel", "OPENAI_LOG": "debug", "OPENAI_MODEL": "gpt"}
    use_offline_model(environment, "http://127.0.0.1:5/v1")
    assert environment == {
        "OPENAI_BASE_URL": "http://127.0.0.1:5/v1",
        "OPENAI_API": "responses",
        "OPENAI_API_KEY": "offline",
        "OPENAI_MODEL": "offline",
    }
    assert provider_url(environment) == "http://127.0.0.1:5/v1"


def test_a_provider_is_described_without_its_key() -> None:
    environment = {"OPENAI_BASE_URL": "http://ann:sesame@127.0.0.1:11434/v1?key=sesame", "OPENAI_MODEL": "llama"}
    assert describe_model(environment) == "llama at http://127.0.0.1:11434/v1"
    assert environment["OPENAI_API_KEY"] == "none"


def test_openai_is_described_by_its_name() -> None:
    environment = {"OPENAI_API_KEY": "key"}
    assert describe_model(environment) == "the default model at OpenAI"
    assert environment == {"OPENAI_API_KEY": "key"}


@pytest.mark.parametrize("name", ["a b", "50%", "%41", "a?b#c", "$HOME", "'q' \"d\"", "&;:", "{}", "ü\\", "[x]", "@"])
def test_a_file_url_names_the_file_whatever_its_path(name: str) -> None:
    path = Path("/srv") / name / "tasks.sqlite3"
    assert make_url(sqlite_url(path)).database == str(path)


@pytest.mark.parametrize("port", ["abc", "-1", "65536", "3000.5", "٣٠٠٠", "9" * 5_000, "0" * 5_000])
def test_a_port_that_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(StartError, match=r"^PORT must be a number up to 65535"):
        read_port({"PORT": port})


@pytest.mark.parametrize(("given", "port"), [({}, 3000), ({"PORT": ""}, 3000), ({"PORT": " 0 "}, 0)])
def test_a_port_can_be_chosen(given: dict[str, str], port: int) -> None:
    assert read_port(given) == port
