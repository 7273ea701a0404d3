"""Shorten JSON objects for a model, such as a tool's arguments and its result."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

LEFT_OUT = "left_out"
"""Key in a shortened object that tells the model of the omission."""
_IDENTIFYING = ("id", "title", "error", "code", "message")
_LONG_TEXT_CHARACTERS = 200
_TITLE_CHARACTERS = (80, 40, 20)
_ELLIPSIS = "…"


def shorten(value: Mapping[str, Any], fits: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
    """Return the longest version of a JSON object that fits. The last version is returned even if it does not fit.

    Long texts are cut first. Then elements of lists keep only id, title and error. Then titles are cut. Then lists lose
    their ends, and the object tells how many elements are missing.
    """
    for version in _versions(value):
        if fits(version):
            break
    return version


def shares(sizes: Sequence[int], limit: int) -> list[int]:
    """Divide a limit among parts of these sizes: small parts stay whole, and large ones share the rest equally."""
    granted = [0] * len(sizes)
    by_size = sorted(range(len(sizes)), key=sizes.__getitem__)
    for place, number in enumerate(by_size):
        granted[number] = min(sizes[number], limit // (len(sizes) - place))
        limit -= granted[number]
    return granted


def _versions(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the object, and then ever shorter versions of it."""
    yield value
    yield (value := _with_short_texts(value, _LONG_TEXT_CHARACTERS))
    yield (value := _with_names_only(value))
    for characters in _TITLE_CHARACTERS:
        yield (value := _with_short_texts(value, characters))
    elements = max((len(item) for item in value.values() if isinstance(item, list)), default=0)
    while elements:
        elements //= 2
        yield _with_short_lists(value, elements)
    yield {LEFT_OUT: "This was too long to be kept; call the tool again if needed."}


def _with_short_texts(value: Any, characters: int) -> Any:
    match value:
        case str() if len(value) > characters:
            return value[: characters - 1] + _ELLIPSIS
        case list():
            return [_with_short_texts(item, characters) for item in value]
        case dict():
            return {
                _with_short_texts(key, characters): _with_short_texts(item, characters) for key, item in value.items()
            }
        case _:
            return value


def _with_names_only(value: Any) -> Any:
    match value:
        case dict():
            return {key: _with_names_only(item) for key, item in value.items()}
        case list():
            return [
                {key: item[key] for key in _IDENTIFYING if key in item} or item if isinstance(item, dict) else item
                for item in value
            ]
        case _:
            return value


def _with_short_lists(value: Mapping[str, Any], elements: int) -> Mapping[str, Any]:
    lost = {key: len(item) - elements for key, item in value.items() if isinstance(item, list) and len(item) > elements}
    kept = {key: item[:elements] if key in lost else item for key, item in value.items()}
    missing = ", ".join(f"{count} more {key}" for key, count in lost.items())
    return {**kept, LEFT_OUT: f"{missing}; ask for fewer at a time."}
