"""What the functions find in their environment on a laptop: which database, and which model."""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from local.loopback import HOST

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".local"
SQLITE_FILE = STATE / "taskchat.sqlite3"
DEFAULT_PORT = 3000
_UNPOOLED = ("DATABASE_URL_UNPOOLED", "DATABASE_URL_UNPOOLED_SECRET")


class StartError(Exception):
    """Raised when Taskchat cannot start; the text is one line for the person at the console."""


def read_port(environment: Mapping[str, str]) -> int:
    """Return the port to listen on; 0 means any that is free.

    Raises:
        StartError: PORT is no port.
    """
    text = environment.get("PORT", "").strip() or str(DEFAULT_PORT)
    if not (text.isascii() and text.isdecimal() and int(text) <= 65_535):
        raise StartError(f"PORT must be a number up to 65535, not {text!r}.")
    return int(text)


def choose_database(environment: MutableMapping[str, str]) -> str:
    """Fill in DATABASE_URL where nothing names a database; return what to call the database, without a secret.

    Raises:
        StartError: DATABASE_URL is no URL.
    """
    if _is_set(environment, "DATABASE_URL"):
        return _describe(environment["DATABASE_URL"])
    if _is_set(environment, "DATABASE_URL_SECRET"):
        return f"the one in the secret {environment['DATABASE_URL_SECRET']}"
    # One for migrations alone would mean that another database is migrated than the one that is used.
    for name in _UNPOOLED:
        environment.pop(name, None)
    url = URL.create("sqlite", database=str(SQLITE_FILE)).render_as_string()
    environment["DATABASE_URL"] = url
    return _describe(url)


def wants_offline_model(environment: Mapping[str, str]) -> bool:
    """Return whether nothing in the environment names a provider."""
    return not any(
        _is_set(environment, name) for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_SECRET", "OPENAI_BASE_URL")
    )


def use_offline_model(environment: MutableMapping[str, str], base_url: str) -> None:
    """Point the functions to the offline model, past any proxy."""
    bypass = [name for name in (environment.get("NO_PROXY"), environment.get("no_proxy")) if name]
    without_proxy = ",".join([*bypass, HOST])
    environment.update(
        OPENAI_BASE_URL=base_url,
        OPENAI_API_KEY="offline",
        OPENAI_MODEL="offline",
        NO_PROXY=without_proxy,
        no_proxy=without_proxy,
    )


def describe_model(environment: MutableMapping[str, str]) -> str:
    """Return what to call the provider that the environment names; one on this machine often needs no key."""
    if not _is_set(environment, "OPENAI_API_KEY") and not _is_set(environment, "OPENAI_API_KEY_SECRET"):
        environment["OPENAI_API_KEY"] = "none"
    where = environment.get("OPENAI_BASE_URL", "").strip()
    model = environment.get("OPENAI_MODEL", "").strip() or "the default model"
    return f"{model} at {_without_credentials(where) if where else 'OpenAI'}"


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    return bool(environment.get(name, "").strip())


def _describe(url: str) -> str:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StartError("DATABASE_URL is no database URL, such as postgresql://user:password@host/name.") from None
    if parsed.get_backend_name() == "sqlite":
        return os.path.relpath(parsed.database) if parsed.database else "SQLite in memory"
    return f"{parsed.database or 'the default database'} at {parsed.host or 'the default host'}"


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
