"""The base classes of inputs and outputs, and how their JSON Schemas are generated."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class ToolInput(BaseModel):
    """The arguments of one call. Null and empty text count as left out, because models fill optional fields so."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _leave_out_blanks(cls, arguments: Any) -> Any:
        if not isinstance(arguments, dict):
            return arguments
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in arguments.items()}
        return {name: value for name, value in trimmed.items() if not is_blank(value)}

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) that a model or a client is given."""
        return cls.model_json_schema(mode="validation", schema_generator=_InputSchema)


class ToolOutput(BaseModel):
    """The result of one call. It can be built from a record with the same field names."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) that a client is given."""
        return cls.model_json_schema(mode="serialization", schema_generator=_Schema)


def is_blank(value: object) -> bool:
    """Tell whether an argument counts as left out."""
    return value is None or (isinstance(value, str) and not value.strip())


class _Schema(GenerateJsonSchema):
    """Leave out titles that repeat the field names, and docstrings written for developers."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class fixes the arguments
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        return {key: value for key, value in described.items() if key not in ("title", "description")}


class _InputSchema(_Schema):
    """Describe an optional parameter as one that may be left out; null is accepted but not advertised."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        return {key: value for key, value in described.items() if (key, value) != ("default", None)}
