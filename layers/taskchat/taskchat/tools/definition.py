"""What a tool is: one definition for the model's function schema, for MCP, the audit trail and the documentation."""

import functools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from sqlalchemy import Connection


class Annotations(TypedDict):
    """What a client may assume of a tool: `ToolAnnotations` of the Model Context Protocol, and its names."""

    readOnlyHint: bool
    destructiveHint: bool
    idempotentHint: bool
    openWorldHint: bool


@dataclass(frozen=True)
class Caller:
    """On whose behalf, in which transaction, and in which time zone a tool runs."""

    connection: Connection
    user_id: uuid.UUID
    time_zone: ZoneInfo


@dataclass(frozen=True)
class Tool:
    """Something that a model can ask for.

    `description` is written for a model. `run` takes a valid instance of `input` and returns one of `output`.
    """

    name: str
    title: str
    description: str
    input: type[BaseModel]
    output: type[BaseModel]
    annotations: Annotations
    run: Callable[[Caller, Any], BaseModel]

    @functools.cached_property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the arguments; made once, so do not change it."""
        return self.input.model_json_schema(mode="validation", schema_generator=_InputSchema)

    @functools.cached_property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the result; made once, so do not change it."""
        return self.output.model_json_schema(mode="serialization", schema_generator=_Schema)


class _Schema(GenerateJsonSchema):
    """Pydantic's schema without titles that only repeat the names, and without our own docstrings."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class fixes the arguments
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _bare(super().model_schema(schema))


class _InputSchema(_Schema):
    """An optional parameter is one that may be left out; that null counts as left out is only tolerance."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        return {key: value for key, value in described.items() if (key, value) != ("default", None)}


def _bare(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {key: value for key, value in schema.items() if key not in ("title", "description")}
