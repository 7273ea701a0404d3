"""Secrets from a Secrets Manager that moto plays."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from moto import mock_aws

from taskchat import secrets_manager
from taskchat.errors import SecretUnavailableError
from taskchat.settings import read_settings


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of a Secrets Manager without secrets."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        secrets_manager.client.cache_clear()
        yield boto3.client("secretsmanager")
        secrets_manager.client.cache_clear()


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
    secrets_manager.client.cache_clear()
    with pytest.raises(SecretUnavailableError):
        read_settings({"OPENAI_API_KEY_SECRET": "prod/key"}).resolve_openai_api_key()


def test_without_a_region_a_secret_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    secrets_manager.client.cache_clear()
    with pytest.raises(SecretUnavailableError):
        read_settings({"OPENAI_API_KEY_SECRET": "prod/key"}).resolve_openai_api_key()


def test_a_silent_secrets_manager_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets_manager, "TIMEOUT_SECONDS", 0.1)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        secrets_manager.client.cache_clear()
        with pytest.raises(SecretUnavailableError):
            read_settings({"DATABASE_URL_SECRET": "name"}).resolve_database_url()
        silent.settimeout(0)
        attempts = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                attempts += 1
    secrets_manager.client.cache_clear()

    assert attempts == 2


def test_a_secret_is_waited_for_two_seconds_at_most() -> None:
    assert (secrets_manager.TIMEOUT_SECONDS, secrets_manager.ATTEMPTS) == (2, 2)


def test_a_plain_variable_is_preferred_to_a_secret(secrets: Any) -> None:
    settings = read_settings({"OPENAI_API_KEY": "key", "OPENAI_API_KEY_SECRET": "does/not/exist"})
    assert settings.resolve_openai_api_key() == "key"
    assert secrets.list_secrets()["SecretList"] == []


def test_boto3_is_imported_only_for_a_named_secret() -> None:
    script = (
        "import sys; from taskchat.settings import read_settings; "
        "read_settings({'DATABASE_URL': 'x'}).resolve_database_url(); "
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
