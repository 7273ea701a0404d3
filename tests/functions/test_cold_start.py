"""What a function does about its cold start, in a process of its own."""

import pytest

from tests.support.fresh_process import result_of

ANSWER_PEOPLE = ("functions.chat.app", "functions.conversations.app", "functions.mcp.app")
COLLECTIONS = """
import gc, json
def collections():
    return sum(generation["collections"] for generation in gc.get_stats())
"""


@pytest.mark.parametrize("function", ANSWER_PEOPLE)
def test_no_garbage_is_collected_while_a_function_is_imported(function: str) -> None:
    before, after = result_of(f"""{COLLECTIONS}
before = collections()
import {function}
print(json.dumps([before, collections()]))""")

    # One may come before the function's first line: while that is found, and compiled.
    assert after - before <= 1


@pytest.mark.parametrize("function", ANSWER_PEOPLE)
def test_garbage_is_collected_afterwards_but_not_among_what_was_imported(function: str) -> None:
    enabled, kept, looked_at = result_of(f"""
import gc, json, {function}
print(json.dumps([gc.isenabled(), gc.get_freeze_count(), len(gc.get_objects())]))""")

    assert enabled
    assert kept > 100 * looked_at


@pytest.mark.parametrize("function", ANSWER_PEOPLE)
def test_only_the_models_of_openapi_and_the_tables_are_left_unbuilt(function: str) -> None:
    openapi, tables, own, everyones = result_of(f"""
import json, {function}
from pydantic import BaseModel
from fastapi.openapi import models
from taskchat.http import Body
from taskchat.models import Task
from taskchat.settings import Settings
own = [model.__pydantic_complete__ for model in (Settings, Body, *Body.__subclasses__())]
tables = Task.__pydantic_complete__
print(json.dumps([models.OpenAPI.__pydantic_complete__, tables, own, dict(BaseModel.model_config)]))""")

    assert not openapi
    assert not tables
    assert all(own)
    assert everyones == {}


def test_a_model_of_openapi_is_built_when_it_is_used() -> None:
    title = result_of("""
import json, functions.chat.app
from fastapi.openapi.models import OpenAPI
known = OpenAPI.model_validate({"openapi": "3.1.0", "info": {"title": "Taskchat", "version": "1"}})
print(json.dumps(known.info.title))""")

    assert title == "Taskchat"
