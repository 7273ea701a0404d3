"""Create SQLAlchemy's engine for a URL. It keeps one connection."""

from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from taskchat.database import postgres, sqlite
from taskchat.settings import SettingsError

POOL_TIMEOUT_SECONDS = 0.5
"""Wait for the connection while another thread uses it. `Database.transaction` repeats this within its own limit."""


def driver_url(url: str) -> URL:
    """Return SQLAlchemy's URL for one that Neon hands out: `postgres://` and `postgresql://` mean psycopg2 here.

    Query parameters, such as `sslmode` and `channel_binding`, stay.

    Raises:
        SettingsError: `url` is not a valid URL; the message shows no part of it.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The parser's own error quotes a part of the URL, which may hold the password.
        parsed = None
    # After an @ or a / that was not encoded, the rest of a password counts as host or database, which errors quote.
    if parsed is None or (parsed.host and "@" in f"{parsed.host}{parsed.database}"):
        raise SettingsError("the database's URL cannot be parsed; is its password percent-encoded?")
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg2")
    return parsed


def conceal_passwords(text: str, url: URL) -> str:
    """Return `text` with every password of `url` replaced, in any spelling that a URL gives it."""
    for password in (url.password, *url.normalized_query.get("password", ())):
        for spelling in (password, quote(password, safe=""), quote_plus(password)) if password else ():
            text = text.replace(spelling, "***")
    return text


def create(url: URL, *, statement_seconds: float) -> Engine:
    """Return an engine that keeps one connection; it connects when it is first used."""
    # hide_parameters: people's text must not reach a log through an error.
    shared: dict[str, Any] = {
        "hide_parameters": True,
        "pool_size": 1,
        "max_overflow": 0,
        "pool_timeout": POOL_TIMEOUT_SECONDS,
    }
    if url.get_backend_name() == "sqlite":
        return sqlite.create(url, **shared)
    return postgres.create(url, statement_seconds=statement_seconds, **shared)
