"""The environment, and secrets from a Secrets Manager that moto plays."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from moto import mock_aws

from taskchat import settings as module
from taskchat.errors import SecretUnavailableError
from taskchat.settings import SettingsError, read_settings, secrets_manager


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of a Secrets Manager without secrets."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        secrets_manager.cache_clear()
        yield boto3.client("secretsmanager")
        secrets_manager.cache_clear()


def test_a_secret_in_the_environment_is_taken_as_it_is() -> None:
    settings = read_settings({"DATABASE_URL": "sqlite://", "OPENAI_API_KEY": "key"})
    assert settings.resolve_database_url() == "sqlite://"
    assert settings.resolve_openai_api_key() == "key"


def test_a_named_secret_comes_from_the_secrets_manager(secrets: Any) -> None:
    secrets.create_secret(Name="prod/database", SecretString="postgresql://one\n")
    secrets.create_secret(Name="prod/unpooled", SecretString="postgresql://two")
    secrets.create_secret(Name="prod/key", SecretBinary=b"binary key")
    settings = read_settings(
        {
            "DATABASE_URL_SECRET": "prod/database",
            "DATABASE_URL_UNPOOLED_SECRET": "prod/unpooled",
            "OPENAI_API_KEY_SECRET": "prod/key",
        }
    )
    assert settings.resolve_database_url() == "postgresql://one"
    assert settings.resolve_migration_url() == "postgresql://two"
    assert settings.resolve_openai_api_key() == "binary key"


@pytest.mark.usefixtures("secrets")
def test_a_secret_that_cannot_be_read_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SecretUnavailableError, match=r"^The secret for DATABASE_URL cannot be read\.$"):
        read_settings({"DATABASE_URL_SECRET": "does/not/exist"}).resolve_database_url()
    assert "ResourceNotFoundException" in caplog.text


def test_without_credentials_a_secret_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    secrets_manager.cache_clear()
    with pytest.raises(SecretUnavailableError):
        read_settings({"OPENAI_API_KEY_SECRET": "prod/key"}).resolve_openai_api_key()


def test_without_a_region_a_secret_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    secrets_manager.cache_clear()
    with pytest.raises(SecretUnavailableError):
        read_settings({"OPENAI_API_KEY_SECRET": "prod/key"}).resolve_openai_api_key()


def test_a_silent_secrets_manager_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECRET_TIMEOUT_SECONDS", 0.1)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        secrets_manager.cache_clear()
        with pytest.raises(SecretUnavailableError):
            read_settings({"DATABASE_URL_SECRET": "name"}).resolve_database_url()
        silent.settimeout(0)
        attempts = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                attempts += 1
    secrets_manager.cache_clear()

    assert attempts == 2


def test_a_secret_is_waited_for_two_seconds_at_most() -> None:
    assert (module.SECRET_TIMEOUT_SECONDS, module.SECRET_ATTEMPTS) == (2, 2)


def test_a_plain_variable_is_preferred_to_a_secret(secrets: Any) -> None:
    settings = read_settings({"OPENAI_API_KEY": "key", "OPENAI_API_KEY_SECRET": "does/not/exist"})
    assert settings.resolve_openai_api_key() == "key"
    assert secrets.list_secrets()["SecretList"] == []


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


def test_boto3_is_imported_only_for_a_named_secret() -> None:
    script = (
        "import sys; from taskchat.settings import read_settings; "
        "read_settings({'DATABASE_URL': 'x'}).resolve_database_url(); "
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


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
