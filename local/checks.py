"""Refuse at the start the settings that would fail every message later, with the reason in one line."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import httpx2
from sqlalchemy import URL

from local.environment import StartError, is_set
from taskchat.database import driver_url
from taskchat.settings import SettingsError, read_settings

_DATABASE_URLS = ("DATABASE_URL", "DATABASE_URL_UNPOOLED")
_DRIVERS = frozenset({"postgresql+psycopg2", "sqlite", "sqlite+pysqlite"})
_SENT_IN_HEADERS = ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
_LOG_LEVEL_VARIABLES = ("POWERTOOLS_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL")
_LOG_LEVELS = ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL")
_IN_A_HEADER = re.compile(r"[\x20-\x7e]*")
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+(%\w+)?")
_ENDPOINTS = ("/chat/completions", "/responses")


def check_settings(environment: Mapping[str, str]) -> None:
    """Check every setting that can be checked without the network.

    Raises:
        StartError: one cannot work; the message names the variable and shows no secret.
    """
    try:
        read_settings(environment)
    except SettingsError as error:
        raise StartError(f"{error}.") from None
    for name in _DATABASE_URLS:
        if is_set(environment, name):
            _check_database(name, environment[name].strip())
    if is_set(environment, "OPENAI_BASE_URL"):
        _check_base_url(environment["OPENAI_BASE_URL"].strip())
    for name in _SENT_IN_HEADERS:
        _check_header_value(name, environment.get(name, "").strip())
    for name in _LOG_LEVEL_VARIABLES:
        level = environment.get(name, "").strip()
        if level and level.upper() not in _LOG_LEVELS:
            raise StartError(f"{name} must be one of {', '.join(_LOG_LEVELS)}, not {level!r}.")


def _check_database(name: str, text: str) -> None:
    try:
        url = driver_url(text)
    except SettingsError:
        raise StartError(
            f"{name} is not a database URL, such as postgresql://user:password@host/name; "
            "percent-encode special characters in the password."
        ) from None
    if url.drivername not in _DRIVERS:
        raise StartError(
            f"{name} begins with {url.drivername}://; Taskchat works with postgresql:// and sqlite:///FILE."
        )
    if url.get_backend_name() == "sqlite" and _is_in_memory(url):
        raise StartError(
            f"{name} names an SQLite database in memory, which no other process would see; name a file: sqlite:///FILE."
        )


def _is_in_memory(url: URL) -> bool:
    database = url.database or ""
    return (
        not database
        or ":memory:" in database
        or "mode=memory" in database
        or "memory" in (url.query.get("mode"), url.query.get("vfs"))
    )


def _check_base_url(text: str) -> None:
    reason = _fault_of_base_url(text)
    if reason:
        raise StartError(f"OPENAI_BASE_URL {reason}; it should look like https://api.example.com/v1.")


def _fault_of_base_url(text: str) -> str | None:
    # The URL may hold credentials, so the message quotes no part of it.
    try:
        url = urlsplit(text)
    except ValueError:
        return "is not a URL"
    endpoint = next((endpoint for endpoint in _ENDPOINTS if url.path.rstrip("/").endswith(endpoint)), None)
    faults = {
        "does not begin with http:// or https://": url.scheme not in ("http", "https"),
        "names no host": not url.hostname,
        "has a host with characters that a host name cannot hold": not _HOST.fullmatch(url.hostname or "x"),
        "has a port that is not a number up to 65535": not _has_valid_port(url),
        "has a fragment (#…)": bool(url.fragment),
        f"ends with {endpoint}, which the client adds by itself": endpoint is not None,
        "is not a URL": not _is_understood(text),
    }
    return next((fault for fault, is_there in faults.items() if is_there), None)


def _has_valid_port(url: SplitResult) -> bool:
    try:
        return url.port != 0
    except ValueError:
        return False


def _is_understood(text: str) -> bool:
    """Return whether the model's client can parse the URL."""
    try:
        httpx2.URL(text)
    except (ValueError, httpx2.InvalidURL):
        return False
    return True


def _check_header_value(name: str, text: str) -> None:
    if not _IN_A_HEADER.fullmatch(text):
        raise StartError(f"{name} holds characters that an HTTP header cannot carry, such as the … of an example.")
