"""Which database and which model a laptop's environment means."""

import pytest
from sqlalchemy import make_url

from local.environment import (
    SQLITE_FILE,
    StartError,
    choose_database,
    describe_model,
    use_offline_model,
    wants_offline_model,
)

URL = "postgresql://ann:sesame@db.example:5432/tasks?sslmode=require"


@pytest.mark.parametrize("environment", [{}, {"DATABASE_URL": " "}, {"DATABASE_URL_UNPOOLED": URL}])
def test_where_nothing_is_named_the_database_is_a_file_for_migrations_too(environment: dict[str, str]) -> None:
    assert choose_database(environment).endswith(".local/taskchat.sqlite3")
    url = make_url(environment["DATABASE_URL"])
    assert (url.get_backend_name(), url.database) == ("sqlite", str(SQLITE_FILE))
    assert "DATABASE_URL_UNPOOLED" not in environment


def test_a_database_that_is_named_is_used_and_told_without_its_password() -> None:
    environment = {"DATABASE_URL": URL, "DATABASE_URL_UNPOOLED": URL}
    assert choose_database(environment) == "tasks at db.example"
    assert environment == {"DATABASE_URL": URL, "DATABASE_URL_UNPOOLED": URL}


def test_a_database_in_a_secret_is_told_by_the_secrets_name() -> None:
    environment = {"DATABASE_URL_SECRET": "taskchat/url"}
    assert choose_database(environment) == "the one in the secret taskchat/url"
    assert environment == {"DATABASE_URL_SECRET": "taskchat/url"}


def test_what_is_no_url_is_refused_without_being_shown() -> None:
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
def test_the_offline_model_serves_unless_a_provider_is_named(environment: dict[str, str], *, offline: bool) -> None:
    assert wants_offline_model(environment) is offline


def test_the_offline_model_is_reached_past_a_proxy() -> None:
    environment = {"NO_PROXY": "example.org"}
    use_offline_model(environment, "http://127.0.0.1:5/v1")
    assert environment["OPENAI_BASE_URL"] == "http://127.0.0.1:5/v1"
    assert environment["NO_PROXY"] == environment["no_proxy"] == "example.org,127.0.0.1"


def test_a_provider_is_told_without_a_key_and_one_without_a_key_gets_a_stand_in() -> None:
    environment = {"OPENAI_BASE_URL": "http://ann:sesame@127.0.0.1:11434/v1?key=sesame", "OPENAI_MODEL": "llama"}
    assert describe_model(environment) == "llama at http://127.0.0.1:11434/v1"
    assert environment["OPENAI_API_KEY"] == "none"


def test_openai_is_told_by_its_name() -> None:
    environment = {"OPENAI_API_KEY": "key"}
    assert describe_model(environment) == "the default model at OpenAI"
    assert environment == {"OPENAI_API_KEY": "key"}
