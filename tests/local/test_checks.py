"""Settings that cannot work are refused at the start, by name and without secrets."""

import pytest

from local.checks import check_settings
from local.environment import StartError

SECRET = "sesame"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:port/v1",
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1:0/v1",
        "127.0.0.1:11434/v1",
        "localhost:11434/v1",
        "ftp://example.com/v1",
        '"https://example.com/v1"',
        "https:///v1",
        "https://…/v1",
        "https://<resource>.openai.azure.com/openai/v1",
        "https://${HOST}/v1",
        "https://exa mple.com/v1",
        "http://[::1/v1",
        "https://example.com/v1#key",
        "https://example.com/v1/chat/completions",
        "https://example.com/v1/responses/",
        f"https://ann:{SECRET}@exa mple.com/v1?key={SECRET}",
    ],
)
def test_a_base_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(StartError, match=r"^OPENAI_BASE_URL .*; it should look like https://") as caught:
        check_settings({"OPENAI_BASE_URL": url})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1",
        "https://api.example.com/v1/",
        "https://api.example.com",
        "http://127.0.0.1:11434/v1",
        "http://[::1]:11434/v1",
        "http://my_host.internal:8080/v1",
        "https://bücher.example/v1",
        "https://example.openai.azure.com/openai/v1?api-version=preview",
        " https://api.example.com/v1 ",
    ],
)
def test_a_base_url_that_can_work_is_taken(url: str) -> None:
    check_settings({"OPENAI_BASE_URL": url})


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"])
@pytest.mark.parametrize("value", ["sk-…", f"{SECRET}\nsecond line", f"“{SECRET}”", f"{SECRET}\x00", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused(name: str, value: str) -> None:
    with pytest.raises(StartError, match=f"^{name} ") as caught:
        check_settings({name: value})
    assert SECRET not in str(caught.value)


def test_blanks_around_a_key_are_no_part_of_it() -> None:
    check_settings({"OPENAI_API_KEY": " sk-123\n"})


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_URL_UNPOOLED"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "memory"),
        ("sqlite:///", "memory"),
        ("sqlite:///:memory:", "memory"),
        ("sqlite+pysqlite:///:memory:", "memory"),
        ("sqlite:///file::memory:?cache=shared&uri=true", "memory"),
        ("sqlite:///file:tasks?mode=memory&uri=true", "memory"),
        ("mysql://ann:sesame@host/tasks", "begins with mysql://"),
        ("postgresql+asyncpg://ann:sesame@host/tasks", r"begins with postgresql\+asyncpg://"),
        ("sqlite+aiosqlite:///tasks.db", r"begins with sqlite\+aiosqlite://"),
        ("sesame", "is not a database URL"),
        ("postgresql://ann:sesame@host:port/tasks", "is not a database URL"),
    ],
)
def test_a_database_that_cannot_work_is_refused(name: str, url: str, reason: str) -> None:
    with pytest.raises(StartError, match=f"^{name} .*{reason}") as caught:
        check_settings({name: url})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://ann:sesame@host/tasks",
        "postgresql://ann:sesame@host/tasks?sslmode=require&channel_binding=require",
        "postgresql+psycopg2:///tasks?host=/var/run/postgresql",
        "sqlite:///tasks.db",
        "sqlite:////srv/tasks%3F.db",
    ],
)
def test_a_database_that_can_work_is_taken(url: str) -> None:
    check_settings({"DATABASE_URL": url})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODEL_TIMEOUT_SECONDS", "soon"),
        ("HISTORY_MESSAGES", "0"),
        ("DATABASE_DEADLINE_SECONDS", "-1"),
        ("POWERTOOLS_LOG_LEVEL", "chatty"),
        ("AWS_LAMBDA_LOG_LEVEL", "loud"),
    ],
)
def test_every_other_setting_is_checked_too(name: str, value: str) -> None:
    with pytest.raises(StartError, match=f"^{name}"):
        check_settings({name: value})


def test_nothing_set_and_unknown_variables_are_fine() -> None:
    check_settings({"OPENAI_BASE_URL": " ", "DATABASE_URL": "", "POWERTOOLS_LOG_LEVEL": "debug", "SHELL": "fish"})
