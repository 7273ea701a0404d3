"""The decorator that turns a function into a tool."""

import functools
import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from types import ModuleType
from typing import Any, Concatenate, ParamSpec, TypedDict, get_type_hints

from pydantic import create_model
from sqlalchemy import Connection

from taskchat.toolkit.schemas import ToolInput, ToolOutput

Arguments = ParamSpec("Arguments")


class Annotations(TypedDict):
    """Hints for clients, by the names of MCP's `ToolAnnotations`."""

    readOnlyHint: bool
    destructiveHint: bool
    idempotentHint: bool
    openWorldHint: bool


class Change(TypedDict):
    """A record before and after a change, as JSON with exact times; None stands for a record that does not exist."""

    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True)
class ToolContext:
    """The circumstances of one call: the transaction, the person, and the time zone of times without an offset.

    `turn_id` names the turn that records the call. `blank_arguments` names the arguments that were sent as null or
    empty text and therefore count as left out. `earlier_calls` are the records of the turn's calls before this one.
    `changes` collects what the tool changed, in order.
    """

    connection: Connection
    user_id: uuid.UUID
    time_zone: tzinfo
    turn_id: uuid.UUID
    blank_arguments: tuple[str, ...] = ()
    earlier_calls: Sequence[Mapping[str, Any]] = ()
    changes: list[Change] = field(default_factory=list)

    def changed(self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
        """Note a change for the audit trail. Undo takes back exactly what is noted."""
        self.changes.append({"before": before, "after": after})


@dataclass(frozen=True)
class Tool:
    """A function that a model or a client can call; `description` is written for a model."""

    name: str
    title: str
    description: str
    input: type[ToolInput]
    output: type[ToolOutput]
    annotations: Annotations
    function: Callable[..., ToolOutput]

    @functools.cached_property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the arguments. It is shared, so do not change it."""
        return self.input.json_schema()

    @functools.cached_property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the result. It is shared, so do not change it."""
        return self.output.json_schema()

    def run(self, context: ToolContext, arguments: ToolInput) -> ToolOutput:
        """Call the function with arguments that have been validated."""
        return self.function(context, **{name: getattr(arguments, name) for name in self.input.model_fields})


def tool(
    *, title: str, read_only: bool = False, destructive: bool = False, idempotent: bool = False
) -> Callable[[Callable[Concatenate[ToolContext, Arguments], ToolOutput]], Tool]:
    """Make a tool of a function; the three flags are MCP's hints of the same names.

    The function takes a `ToolContext` and then its arguments, each with a type that Pydantic validates and an optional
    `Field(description=…)`. Its name is the tool's name and its docstring is the description that a model reads.

    Raises:
        TypeError: the function has no docstring, or an argument or the result has no usable annotation.
    """

    def decorate(function: Callable[Concatenate[ToolContext, Arguments], ToolOutput]) -> Tool:
        hints = get_type_hints(function, include_extras=True)
        description = " ".join((inspect.getdoc(function) or "").split())
        output = hints.get("return")
        if not description:
            raise TypeError(f"{function.__name__} needs a docstring, which is what a model reads")
        if not (isinstance(output, type) and issubclass(output, ToolOutput)):
            raise TypeError(f"{function.__name__} must be annotated to return a ToolOutput")
        return Tool(
            name=function.__name__,
            title=title,
            description=description,
            input=_input_model(function, hints),
            output=output,
            annotations={
                "readOnlyHint": read_only,
                "destructiveHint": destructive,
                "idempotentHint": idempotent,
                "openWorldHint": False,
            },
            function=function,
        )

    return decorate


def tools_of(*modules: ModuleType) -> Mapping[str, Tool]:
    """Return the tools that these modules define, by name, in the order of their definition."""
    return {value.name: value for module in modules for value in vars(module).values() if isinstance(value, Tool)}


def _input_model(function: Callable[..., ToolOutput], hints: Mapping[str, Any]) -> type[ToolInput]:
    """Return a Pydantic model with one field for each parameter after the context."""
    context, *parameters = inspect.signature(function).parameters.values()
    if hints.get(context.name) is not ToolContext:
        raise TypeError(f"the first argument of {function.__name__} must be a ToolContext")
    fields: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name not in hints:
            raise TypeError(f"the argument {parameter.name} of {function.__name__} needs an annotation")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    return create_model(function.__name__, __base__=ToolInput, **fields)
