"""The environment: names, defaults, and values that do not fit."""

import pytest

from taskchat.settings import SettingsError, read_settings


def test_a_secret_in_the_environment_is_taken_as_it_is() -> None:
    settings = read_settings({"DATABASE_URL": "sqlite://", "OPENAI_API_KEY": "key"})
    assert settings.resolve_database_url() == "sqlite://"
    assert settings.resolve_openai_api_key() == "key"


def test_migrations_use_the_pooled_url_where_no_other_is_set() -> None:
    assert read_settings({"DATABASE_URL": "sqlite://"}).resolve_migration_url() == "sqlite://"
    both = read_settings({"DATABASE_URL": "sqlite://", "DATABASE_URL_UNPOOLED": "sqlite:///direct"})
    assert both.resolve_migration_url() == "sqlite:///direct"


@pytest.mark.parametrize("environment", [{}, {"DATABASE_URL": ""}, {"DATABASE_URL": "  ", "DATABASE_URL_SECRET": ""}])
def test_a_missing_secret_is_reported_by_variable_name(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"^set DATABASE_URL or DATABASE_URL_SECRET$"):
        read_settings(environment).resolve_database_url()


def test_a_list_is_read_from_commas_and_blanks_count_as_nothing() -> None:
    assert read_settings({"MCP_HOSTS": "a.example, b.example,"}).mcp_hosts == ("a.example", "b.example")


def test_mcp_answers_only_on_loopback_where_nothing_else_is_set() -> None:
    assert read_settings({}).mcp_hosts == ("127.0.0.1:*", "localhost:*")


def test_a_value_that_does_not_fit_is_named_and_not_shown() -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({"MODEL_TIMEOUT_SECONDS": "hunter2", "HISTORY_MESSAGES": "0"})
    assert "MODEL_TIMEOUT_SECONDS" in str(error.value)
    assert "HISTORY_MESSAGES" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_no_secret_is_shown_by_the_settings() -> None:
    shown = repr(read_settings({"DATABASE_URL": "postgresql://u:hunter2@h/d", "OPENAI_API_KEY": "sk-hunter2"}))
    assert "hunter2" not in shown


def test_a_blank_variable_is_not_set() -> None:
    assert read_settings({"OPENAI_MODEL": " ", "MODEL_TIMEOUT_SECONDS": ""}) == read_settings({})


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OPENAI_API", "telepathy"), ("OPENAI_MAX_OUTPUT_TOKENS", "255"), ("OPENAI_MAX_OUTPUT_TOKENS", "many")],
)
def test_a_setting_of_the_model_without_sense_is_refused(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable) as raised:
        read_settings({variable: value})
    assert value not in str(raised.value)


def test_the_model_has_defaults_that_work_with_openai() -> None:
    settings = read_settings({})
    assert (settings.openai_model, settings.openai_api) == ("gpt-6.1-terra", None)
    assert (settings.openai_reasoning_effort, settings.openai_max_output_tokens) == (None, 8_192)
