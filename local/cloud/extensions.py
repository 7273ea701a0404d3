"""Add to ministack's CloudFormation the parts of AWS's that Taskchat's templates need and ministack lacks.

Runs in the emulator's own environment. It reaches into ministack, whose version is pinned for this reason:

- The SAM transform gets the parameters' values, as AWS's does; ministack's gets only their defaults.
- `Body` of an HTTP API makes its authorizer, routes and CORS rules.
- An alarm may have `Metrics` (metric math). It is stored and never evaluated.
- Types that have no effect on a request are stored: saved queries, CodeDeploy, branding of the sign-in page.
- `MaximumConcurrency` of a queue's consumer may be a parameter, whose value is text.
- An archive is unpacked once and not for every process of a function, which takes most of ministack's time.
"""

import copy
import hashlib
import json
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

from ministack.core import lambda_runtime
from ministack.services import apigateway, lambda_svc
from ministack.services.cloudformation import changesets, engine, handlers, provisioners
from samtranslator.translator import transform as sam

STORED_TYPES = (
    "AWS::Logs::QueryDefinition",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Cognito::ManagedLoginBranding",
)
VERBS = ("get", "post", "put", "patch", "delete")
UNPACKED = Path(tempfile.gettempdir()) / "unpacked"
_parameters: ContextVar[Mapping[str, Any]] = ContextVar("_parameters")


def install() -> None:
    """Put the extensions into ministack's modules, before it serves."""
    _give_parameters_to_the_transform()
    lambda_runtime.zipfile = _ArchivesUnpackedOnce
    api = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"] = {
        **api,
        "create": _with_body(api["create"], lambda _logical_id, props, _stack: props),
        "update": _with_body(api["update"], lambda _id, _old, props, *_, **__: props),
    }
    for kind in STORED_TYPES:
        provisioners._RESOURCE_HANDLERS[kind] = {
            "create": _store,
            "update": lambda physical_id, *_: (physical_id, {}),
            "delete": lambda *_: None,
        }
    concurrency = lambda_svc._sqs_esm_concurrency
    lambda_svc._sqs_esm_concurrency = lambda *arguments: int(concurrency(*arguments))
    store_alarm = provisioners._cw_metric_alarm_record

    def record(name: str, props: Mapping[str, Any]) -> Any:
        if "Metrics" not in props:
            return store_alarm(name, props)
        # The form of a plain alarm, on a metric that nothing writes.
        plain = {key: value for key, value in props.items() if key != "Metrics"}
        return store_alarm(name, {**plain, "Namespace": "MetricMath", "MetricName": name})

    provisioners._cw_metric_alarm_record = record


def _give_parameters_to_the_transform() -> None:
    apply, translate = engine._apply_transforms, sam.transform

    def apply_with_parameters(template: Any, provided: Any = None, previous: Any = None) -> Any:
        values = engine._transform_parameters(template, provided or [], previous or {})
        declared = template.get("Parameters") or {}
        token = _parameters.set({name: _typed(value, declared[name]) for name, value in values.items()})
        try:
            return apply(template, provided, previous)
        finally:
            _parameters.reset(token)

    def translate_with_parameters(template: Any, _none: Any, *arguments: Any) -> Any:
        return translate(template, dict(_parameters.get({})), *arguments)

    sam.transform = translate_with_parameters
    for module in (engine, changesets, handlers):
        module._apply_transforms = apply_with_parameters


def _typed(value: str, declaration: Mapping[str, Any]) -> Any:
    return value.split(",") if declaration.get("Type") == "CommaDelimitedList" else value


def _store(logical_id: str, _props: Any, stack_name: str) -> tuple[str, dict[str, str]]:
    return f"{stack_name}-{logical_id}-{uuid.uuid4().hex[:8]}", {}


def _with_body(handler: Callable[..., Any], properties: Callable[..., Mapping[str, Any]]) -> Callable[..., Any]:
    def handle(*arguments: Any, **options: Any) -> Any:
        made = handler(*arguments, **options)
        body = properties(*arguments, **options).get("Body")
        if body:
            _make_api(made[0], body)
        return made

    return handle


def _make_api(api_id: str, body: Mapping[str, Any]) -> None:
    """Replace the API's routes by those of an OpenAPI document, as an update of `Body` does."""
    api = apigateway._apis[api_id]
    for things in (apigateway._routes, apigateway._integrations, apigateway._authorizers):
        things[api_id] = {}
    cors = body.get("x-amazon-apigateway-cors")
    if cors:
        api["corsConfiguration"] = copy.deepcopy(dict(cors))
    authorizers = {
        name: _made(
            apigateway._create_authorizer(
                api_id,
                {
                    "name": name,
                    "authorizerType": "JWT",
                    "identitySource": [scheme["x-amazon-apigateway-authorizer"]["identitySource"]],
                    "jwtConfiguration": scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"],
                },
            )
        )["authorizerId"]
        for name, scheme in body.get("components", {}).get("securitySchemes", {}).items()
    }
    for path, operations in body["paths"].items():
        for verb in VERBS:
            if verb in operations:
                _make_route(api_id, f"{verb.upper()} {path}", operations[verb], authorizers)


def _make_route(api_id: str, key: str, operation: Mapping[str, Any], authorizers: Mapping[str, str]) -> None:
    uri: str = operation["x-amazon-apigateway-integration"]["uri"]
    integration = _made(
        apigateway._create_integration(
            api_id,
            {
                "integrationType": "AWS_PROXY",
                "integrationUri": uri.partition("/functions/")[2].removesuffix("/invocations"),
                "payloadFormatVersion": "2.0",
            },
        )
    )
    route = {"routeKey": key, "target": f"integrations/{integration['integrationId']}"}
    for requirement in operation.get("security", []):
        for name, scopes in requirement.items():
            if name in authorizers:
                route |= {
                    "authorizationType": "JWT",
                    "authorizerId": authorizers[name],
                    "authorizationScopes": scopes,
                }
    _made(apigateway._create_route(api_id, route))


def _made(response: tuple[int, Any, bytes]) -> dict[str, Any]:
    status, _, content = response
    if status >= 400:
        raise ValueError(f"the API's Body cannot be made: {content!r}")
    made: dict[str, Any] = json.loads(content)
    return made


class _ArchivesUnpackedOnce:
    """Stands for the module `zipfile` where ministack unpacks a function's code and layers."""

    BadZipFile = zipfile.BadZipFile
    LargeZipFile = LargeFileError = zipfile.LargeZipFile

    class ZipFile:
        """Links the contents of an archive into a folder."""

        def __init__(self, path: str) -> None:
            content = Path(path).read_bytes()
            self._home = UNPACKED / hashlib.sha256(content).hexdigest()
            if not self._home.exists():
                making = Path(tempfile.mkdtemp())
                zipfile.ZipFile(path).extractall(making)
                with suppress(OSError):  # Another process of the same function was first.
                    UNPACKED.mkdir(exist_ok=True)
                    making.rename(self._home)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def namelist(self) -> list[str]:
            """Return no names, because the caller checks each for a way out of the folder."""
            return []

        def extractall(self, folder: str) -> None:
            """Link what is at the top."""
            for entry in self._home.iterdir():
                (Path(folder) / entry.name).symlink_to(entry)
