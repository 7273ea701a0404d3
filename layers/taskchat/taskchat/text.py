"""Text that every database takes."""

import re
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Postgres refuses NUL in text and JSONB; a surrogate without its partner has no UTF-8 form at all."""


def storable(text: str) -> str:
    """Return `text` with U+FFFD in place of each character that a database cannot hold."""
    return _UNSTORABLE.sub("\ufffd", text)


def is_storable(text: str) -> bool:
    """Whether a database can hold `text` as it is."""
    return _UNSTORABLE.search(text) is None


def storable_json(value: Any) -> Any:
    """Return a copy of a JSON value, every string and key in it storable."""
    match value:
        case str():
            return storable(value)
        case list():
            return [storable_json(item) for item in value]
        case dict():
            return {storable(key): storable_json(item) for key, item in value.items()}
        case _:
            return value
