"""Text that every database can store."""

import re
import unicodedata
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL refuses NUL in text and JSONB. A lone surrogate has no UTF-8 form."""


def storable(text: str) -> str:
    """Return `text` with U+FFFD in place of each character that a database cannot hold."""
    return _UNSTORABLE.sub("\ufffd", text)


def is_storable(text: str) -> bool:
    """Tell whether a database can hold `text` unchanged."""
    return _UNSTORABLE.search(text) is None


def searchable(text: str) -> str:
    """Return `text` so that two spellings of the same words are equal: in any case, composed or decomposed.

    This is caseless matching by Unicode 17, section 3.13, definition D146, which no locale changes.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def storable_json(value: Any) -> Any:
    """Return a copy of a JSON value with every string and key storable."""
    match value:
        case str():
            return storable(value)
        case list():
            return [storable_json(item) for item in value]
        case dict():
            return {storable(key): storable_json(item) for key, item in value.items()}
        case _:
            return value
