"""A gateway over a small template, with a function that does what a test tells it."""

import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.gateway.server import Gateway
from local.gateway.template import read_template
from tests.local.gateway.http_client import Client

StartGateway = Callable[..., Client]

TEMPLATE = textwrap.dedent(
    """
    Transform: AWS::Serverless-2016-10-31
    Parameters:
      Origins: { Type: CommaDelimitedList, Default: "https://app.example,https://other.example" }
    Globals:
      Function: { Timeout: TIMEOUT, Environment: { Variables: { SECRET: !Ref Origins } } }
    Resources:
      Api:
        Type: AWS::Serverless::HttpApi
        Properties:
          Auth: { DefaultAuthorizer: Jwt, Authorizers: { Jwt: { JwtConfiguration: { issuer: !Ref Issuer } } } }
          CorsConfiguration:
            AllowOrigins: !Ref Origins
            AllowMethods: [GET, POST]
            AllowHeaders: [content-type]
            ExposeHeaders: [retry-after]
            MaxAge: 60
      EchoFunction:
        Type: AWS::Serverless::Function
        Properties:
          Handler: tests.local.lambda_function.handler
          MemorySize: 256
          Events:
            Get: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: GET, Path: /echo } }
            Post: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: post, Path: /echo } }
            Head: { Type: HttpApi, Properties: { Method: HEAD, Path: /echo } }
            Item: { Type: HttpApi, Properties: { Method: GET, Path: "/items/{id}" } }
            Special: { Type: HttpApi, Properties: { Method: GET, Path: /items/special } }
            Part: { Type: HttpApi, Properties: { Method: GET, Path: "/items/{id}/parts/{part}" } }
            Rest: { Type: HttpApi, Properties: { Method: ANY, Path: "/files/{rest+}" } }
            Public: { Type: HttpApi, Properties: { Method: GET, Path: /public, Auth: { Authorizer: NONE } } }
            Daily: { Type: Schedule, Properties: { Schedule: rate(1 day) } }
      HiddenFunction:
        Type: AWS::Serverless::Function
        Properties: { Handler: there.is.no.such.handler }
    """
)


@pytest.fixture(scope="module")
def start_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    """Return what starts a gateway; all of them stop after the module's last test."""
    with ExitStack() as stack:

        def start(*, timeout: float = 60, **options: Any) -> Client:
            folder: Path = tmp_path_factory.mktemp("gateway")
            template = folder / "template.yaml"
            template.write_text(TEMPLATE.replace("TIMEOUT", str(timeout)), encoding="utf-8")
            lines: list[str] = []
            gateway = stack.enter_context(
                Gateway(read_template(template), log_file=folder / "functions.log", access_log=lines.append, **options)
            )
            return Client(gateway, lines, folder / "functions.log")

        yield start


@pytest.fixture(scope="module")
def client(start_gateway: StartGateway) -> Client:
    """Return a client of one gateway that the module's tests share."""
    return start_gateway()
