"""The garbage collector during the import of a function, in a process of its own."""

import pytest

from tests.support.fresh_process import result_of

FUNCTIONS = ("functions.chat.app", "functions.conversations.app", "functions.mcp.app", "functions.tasks.app")
COLLECTIONS = """
import gc, json
def collections():
    return sum(generation["collections"] for generation in gc.get_stats())
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_garbage_is_collected_during_import(function: str) -> None:
    before, after = result_of(f"""{COLLECTIONS}
before = collections()
import {function}
print(json.dumps([before, collections()]))""")

    # One collection may run before the function's first line, while Python finds and compiles the module.
    assert after - before <= 1


@pytest.mark.parametrize("function", FUNCTIONS)
def test_imported_objects_are_frozen_afterwards(function: str) -> None:
    enabled, frozen, tracked = result_of(f"""
import gc, json, {function}
print(json.dumps([gc.isenabled(), gc.get_freeze_count(), len(gc.get_objects())]))""")

    assert enabled
    assert frozen > 100 * tracked
