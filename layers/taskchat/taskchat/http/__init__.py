"""HTTP for every function: the app, dependencies and field types of its routes, problem documents."""

from taskchat.http.app import create_app, lambda_handler
from taskchat.http.dependencies import (
    IDEMPOTENCY_KEY_HEADER,
    Caller,
    CallerDep,
    Invocation,
    InvocationDep,
    SecondsLeftDep,
    idempotency_headers,
)
from taskchat.http.entity_tags import entity_tag, matches, tagged
from taskchat.http.fields import Body, Id, Limit, PathId, Text, TimeZone
from taskchat.http.preferences import Preference, PreferenceDep
from taskchat.http.problems import turn_location

__all__ = [
    "IDEMPOTENCY_KEY_HEADER",
    "Body",
    "Caller",
    "CallerDep",
    "Id",
    "Invocation",
    "InvocationDep",
    "Limit",
    "PathId",
    "Preference",
    "PreferenceDep",
    "SecondsLeftDep",
    "Text",
    "TimeZone",
    "create_app",
    "entity_tag",
    "idempotency_headers",
    "lambda_handler",
    "matches",
    "tagged",
    "turn_location",
]
