"""Hypothesis strategies for input from outside: JSON, odd text, and valid documents that were changed."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

ODD_TEXT = st.text(max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "\ud800",
        "\ufeff",
        "\u2028",
        "é" * 300,
        "{",
        '"',
        "null",
        "1e999",
        "-0",
        "9" * 400,
        "%00",
        "../..",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400])
    | st.floats()
    | ODD_TEXT
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=8,
)
"""Values as Python's `json` reads them, so NaN and infinity are among them."""


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """Return a valid document in which up to three parts are replaced, removed or added."""
    changed = deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        holders = list(_holders(changed))
        if not holders:
            return draw(JSON)
        holder = draw(st.sampled_from(holders))
        if isinstance(holder, dict):
            key = draw(st.sampled_from(sorted(holder)) | ODD_TEXT) if holder else draw(ODD_TEXT)
        else:
            key = draw(st.integers(0, max(0, len(holder) - 1)))
        if draw(st.integers(0, 3)) == 0 and holder:
            holder.pop(key, None) if isinstance(holder, dict) else holder.pop(key)
        elif isinstance(holder, dict) or holder:
            holder[key] = draw(JSON)
    return changed


def _holders(value: Any) -> Any:
    """Yield every object and array of a document."""
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _holders(item)
