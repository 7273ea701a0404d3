"""Choose the port, the database and the model that a laptop's environment names."""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".local"
SQLITE_FILE = STATE / "taskchat.sqlite3"
DEFAULT_PORT = 3000
OPENAI_URL = "https://api.openai.com/v1"
LARGEST_PORT = 65_535
_MOST_DIGITS = 20
PROVIDER_VARIABLES = ("OPENAI_API_KEY", "OPENAI_API_KEY_SECRET", "OPENAI_BASE_URL")
_UNPOOLED = ("DATABASE_URL_UNPOOLED", "DATABASE_URL_UNPOOLED_SECRET")
_OF_THE_SDK = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS", "OPENAI_LOG")
"""Variables that the openai SDK reads by itself; they are meant for a real provider."""


class StartError(Exception):
    """Raised when Taskchat cannot start; the text is one line for the person at the console."""


def read_port(environment: Mapping[str, str]) -> int:
    """Return the port to listen on; 0 picks a free one.

    Raises:
        StartError: PORT is not a port number.
    """
    text = environment.get("PORT", "").strip() or str(DEFAULT_PORT)
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) <= LARGEST_PORT):
        raise StartError(f"PORT must be a number up to {LARGEST_PORT}, not {text[:_MOST_DIGITS]!r}.")
    return int(text)


def is_set(environment: Mapping[str, str], name: str) -> bool:
    """Return whether a variable holds more than blanks."""
    return bool(environment.get(name, "").strip())


def choose_database(environment: MutableMapping[str, str]) -> str:
    """Set DATABASE_URL to the local SQLite file if no database is named; return a description without secrets.

    Raises:
        StartError: DATABASE_URL is not a URL.
    """
    if is_set(environment, "DATABASE_URL"):
        return _describe(environment["DATABASE_URL"])
    if is_set(environment, "DATABASE_URL_SECRET"):
        return f"the one in the secret {environment['DATABASE_URL_SECRET']}"
    # A URL for migrations alone would migrate another database than the one in use.
    for name in _UNPOOLED:
        environment.pop(name, None)
    environment["DATABASE_URL"] = sqlite_url(SQLITE_FILE)
    return _describe(environment["DATABASE_URL"])


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file, with every character of its path that means something in a URL encoded."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def wants_offline_model(environment: Mapping[str, str]) -> bool:
    """Return whether the environment names no provider."""
    return not any(is_set(environment, name) for name in PROVIDER_VARIABLES)


def use_offline_model(environment: MutableMapping[str, str], base_url: str) -> None:
    """Set the variables that point the functions to the offline model, and remove those of a real provider."""
    for name in _OF_THE_SDK:
        environment.pop(name, None)
    environment.update(
        OPENAI_BASE_URL=base_url, OPENAI_API="responses", OPENAI_API_KEY="offline", OPENAI_MODEL="offline"
    )


def provider_url(environment: Mapping[str, str]) -> str:
    """Return the base URL of the provider that the environment names."""
    return environment.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL


def describe_model(environment: MutableMapping[str, str]) -> str:
    """Return a description of the provider that the environment names, without secrets.

    A provider on this machine often needs no key, but the client does, so a missing one is set to `none`.
    """
    if not is_set(environment, "OPENAI_API_KEY") and not is_set(environment, "OPENAI_API_KEY_SECRET"):
        environment["OPENAI_API_KEY"] = "none"
    base_url = environment.get("OPENAI_BASE_URL", "").strip()
    model = environment.get("OPENAI_MODEL", "").strip() or "the default model"
    return f"{model} at {_without_secrets(base_url) if base_url else 'OpenAI'}"


def _describe(url: str) -> str:
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError):
        raise StartError("DATABASE_URL is not a database URL, such as postgresql://user:password@host/name.") from None
    if parsed.get_backend_name() == "sqlite":
        return os.path.relpath(parsed.database) if parsed.database else "SQLite in memory"
    return f"{parsed.database or 'the default database'} at {parsed.host or 'the default host'}"


def _without_secrets(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
