"""Functions, routes and CORS rules of the API, from `template.yaml`."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from yaml import YAMLError

from local.gateway.cors import CorsRules
from local.gateway.page import page_headers
from local.gateway.template_yaml import load
from local.runtime.instance import Function

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Methods that a route of an HTTP API can have."""
ANY_METHOD = "ANY"
DEFAULT_PATH = "$default"
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_RATE_SECONDS = {"minute": 60.0, "hour": 3_600.0, "day": 86_400.0}
LAMBDA_TIMEOUT_SECONDS = 3
LAMBDA_MEMORY_MB = 128
"""Lambda's defaults."""


class TemplateError(Exception):
    """Raised when a template does not describe an API."""


@dataclass(frozen=True)
class Route:
    """A route of the API. In `path`, `{name}` stands for a segment and `{name+}` for the rest of the path."""

    method: str
    path: str
    function: Function
    needs_token: bool

    @property
    def key(self) -> str:
        """Return the route key, as in `GET /conversations/{id}`."""
        return DEFAULT_PATH if self.path == DEFAULT_PATH else f"{self.method} {self.path}"

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the path parameters if this route serves the request, else None. `path` is percent-encoded."""
        if self.path == DEFAULT_PATH:
            return {}
        if self.method != method and not (self.method == ANY_METHOD and method in METHODS):
            return None
        found = _pattern(self.path).fullmatch(path)
        if not found:
            return None
        names = re.findall(r"\{([^}+]+)\+?\}", self.path)
        return {name: unquote(value) for name, value in zip(names, found.groups(), strict=True)}

    @property
    def specificity(self) -> tuple[bool, list[int], bool]:
        """Return a sort key: literal segments before variables, a method before ANY, `$default` last.

        See https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html.
        """
        ranks = [2 if part.endswith("+}") else int(part.startswith("{")) for part in self.path.split("/")]
        return self.path == DEFAULT_PATH, ranks, self.method == ANY_METHOD


@dataclass(frozen=True)
class Schedule:
    """A function that is invoked with the same event again and again."""

    function: Function
    every_seconds: float
    event: Any


@dataclass(frozen=True)
class Api:
    """An HTTP API. `functions` are all functions of the template, also those without a route.

    `consumers` are the functions that receive messages from a queue. `page_headers` are those of CloudFront's responses
    with a file of the page.
    """

    routes: tuple[Route, ...]
    functions: Mapping[str, Function]
    cors: CorsRules | None
    consumers: tuple[Function, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    page_headers: Mapping[str, str] = field(default_factory=dict)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the most specific route that serves a request, with its path parameters."""
        for route in self.routes:
            parameters = route.match(method, path)
            if parameters is not None:
                return route, parameters
        return None


def read_template(path: Path) -> Api:
    """Read a SAM template.

    Raises:
        TemplateError: the file cannot be read, or a function has no handler.
    """
    try:
        template = load(path.read_text(encoding="utf-8"))
        return _api(_resolve(template, _defaults(template)))
    except (OSError, YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise TemplateError(f"{path.name} does not describe an API: {type(error).__name__}: {reason}") from error


def _api(template: Mapping[str, Any]) -> Api:
    resources: Mapping[str, Mapping[str, Any]] = template["Resources"]
    apis = [part.get("Properties", {}) for part in resources.values() if part["Type"] == "AWS::Serverless::HttpApi"]
    api = apis[0] if apis else {}
    shared = template.get("Globals", {}).get("Function", {})
    authorized = "DefaultAuthorizer" in api.get("Auth", {})
    functions: dict[str, Function] = {}
    routes: list[Route] = []
    consumers: list[Function] = []
    schedules: list[Schedule] = []
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = {**shared, **resource["Properties"]}
            functions[name] = _function(name, properties)
            events = properties.get("Events", {})
            routes += _routes(functions[name], events, authorized=authorized)
            consumers += [functions[name] for event in events.values() if event["Type"] == "SQS"]
            schedules += _schedules(functions[name], events)
    ordered = tuple(sorted(routes, key=lambda route: route.specificity))
    cors = api.get("CorsConfiguration")
    rules = CorsRules.from_template(cors) if cors else None
    return Api(ordered, functions, rules, tuple(consumers), tuple(schedules), page_headers(template))


def _function(name: str, properties: Mapping[str, Any]) -> Function:
    return Function(
        name=name,
        handler=properties["Handler"],
        timeout_seconds=properties.get("Timeout", LAMBDA_TIMEOUT_SECONDS),
        memory_mb=properties.get("MemorySize", LAMBDA_MEMORY_MB),
    )


def _routes(function: Function, events: Mapping[str, Any], *, authorized: bool) -> Iterator[Route]:
    for event in events.values():
        if event["Type"] == "HttpApi":
            properties = event.get("Properties", {})
            public = properties.get("Auth", {}).get("Authorizer") == "NONE"
            yield Route(
                method=properties.get("Method", ANY_METHOD).upper(),
                path=properties.get("Path", DEFAULT_PATH),
                function=function,
                needs_token=authorized and not public,
            )


def _schedules(function: Function, events: Mapping[str, Any]) -> Iterator[Schedule]:
    for event in events.values():
        if event["Type"] == "Schedule":
            properties = event["Properties"]
            rate = _RATE.fullmatch(properties["Schedule"])
            if rate is None:
                raise ValueError(f"the schedule {properties['Schedule']} is not a rate")
            yield Schedule(function, int(rate[1]) * _RATE_SECONDS[rate[2]], json.loads(properties.get("Input", "{}")))


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]+\})", path)
    return re.compile("".join(_part(part) for part in parts))


def _part(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    return "(.+)" if part.endswith("+}") else "([^/]+)"


def _defaults(template: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _default(parameter) for name, parameter in (template.get("Parameters") or {}).items()}


def _default(parameter: Mapping[str, Any]) -> Any:
    default = parameter.get("Default", "")
    return default.split(",") if parameter.get("Type") == "CommaDelimitedList" else default


def _resolve(node: Any, parameters: Mapping[str, Any]) -> Any:
    """Replace references to parameters by the parameters' defaults; other references stay."""
    if isinstance(node, Mapping):
        if set(node) == {"Ref"}:
            return parameters.get(node["Ref"], node)
        return {key: _resolve(value, parameters) for key, value in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [_resolve(value, parameters) for value in node]
    return node
