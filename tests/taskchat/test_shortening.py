"""JSON objects that are too long for a model keep their most useful part, and say what is missing."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskchat.json_values import compact_json
from taskchat.shortening import shares, shorten

TASK = {"id": 7, "title": "Buy milk", "priority": "high", "due_at": None, "completed": False}


def listed(count: int, title: str = "Buy milk") -> dict[str, Any]:
    return {"tasks": [{**TASK, "id": number, "title": title} for number in range(count)], "count": count}


def size_bytes(value: Mapping[str, Any]) -> int:
    return len(compact_json(value).encode())


def shortened(value: Mapping[str, Any], limit_bytes: int) -> Mapping[str, Any]:
    return shorten(value, lambda version: size_bytes(version) <= limit_bytes)


def test_a_short_result_stays_as_it_is() -> None:
    assert shortened(listed(3), 2_000) == listed(3)


def test_long_texts_are_cut_before_anything_is_left_out() -> None:
    shorter = shortened(listed(20, "x" * 400), 6_000)
    assert [task["id"] for task in shorter["tasks"]] == list(range(20))
    assert all(task["title"].endswith("…") for task in shorter["tasks"])
    assert shorter["tasks"][0].keys() == TASK.keys()


def test_ids_and_titles_stay_when_the_rest_goes() -> None:
    shorter = shortened(listed(100), 5_000)
    assert shorter["tasks"][99] == {"id": 99, "title": "Buy milk"}
    assert "left_out" not in shorter


def test_a_list_that_is_still_too_long_says_what_is_missing() -> None:
    shorter = shortened(listed(1_000), 3_000)
    kept = len(shorter["tasks"])
    assert 10 < kept <= 100
    assert shorter["left_out"].startswith(f"{1_000 - kept} more tasks;")


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=300),
            lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
        ),
        max_size=6,
    ),
    st.integers(200, 4_000),
)
@settings(max_examples=100)
def test_any_result_fits_its_limit(result: dict[str, Any], limit: int) -> None:
    assert size_bytes(shortened(result, limit)) <= limit


@pytest.mark.parametrize(
    ("sizes", "granted"),
    [
        ([], []),
        ([10, 20, 30], [10, 20, 30]),
        ([10, 200, 20], [10, 70, 20]),
        ([200, 10, 200], [45, 10, 45]),
        ([50, 50, 50], [33, 33, 34]),
    ],
)
def test_small_parts_stay_whole_and_large_ones_share(sizes: list[int], granted: list[int]) -> None:
    assert shares(sizes, 100) == granted
