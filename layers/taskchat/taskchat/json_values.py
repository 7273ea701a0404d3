"""JSON values: compact text, and the depth of nesting."""

import json


def compact_json(value: object) -> str:
    """Return JSON without spaces. Characters other than ASCII stay as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_deeper(value: object, levels: int) -> bool:
    """Tell whether a JSON value has more than so many levels of arrays and objects below it that are not empty."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(items) and (levels == 0 or any(is_deeper(item, levels - 1) for item in items))
