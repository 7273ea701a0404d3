"""Which requests reach a function: the routes of the template, for those who are signed in, and nothing else."""

from pathlib import Path

import pytest

from local.gateway.authorizer import ISSUER
from local.gateway.template import Api, TemplateError, read_template
from local.runtime.instance import Function
from tests.local.gateway.http_client import Client

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("method", "target", "route_key", "parameters"),
    [
        ("GET", "/echo", "GET /echo", None),
        ("POST", "/echo", "POST /echo", None),
        ("GET", "/items/7", "GET /items/{id}", {"id": "7"}),
        ("GET", "/items/a%2Fb", "GET /items/{id}", {"id": "a/b"}),
        ("GET", "/items/special", "GET /items/special", None),
        ("GET", "/items/7/parts/8", "GET /items/{id}/parts/{part}", {"id": "7", "part": "8"}),
        ("PUT", "/files/a/b/c", "ANY /files/{rest+}", {"rest": "a/b/c"}),
    ],
)
def test_the_most_specific_route_serves_a_request(
    client: Client, method: str, target: str, route_key: str, parameters: dict[str, str] | None
) -> None:
    event = client.event(method, target)
    assert event["routeKey"] == event["requestContext"]["routeKey"] == route_key
    assert event.get("pathParameters") == parameters


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/"), ("GET", "/nothing"), ("DELETE", "/echo"), ("GET", "/echo/"), ("GET", "/items/"), ("GET", "/ECHO")],
)
def test_a_route_that_the_template_lacks_does_not_exist(client: Client, method: str, target: str) -> None:
    reply = client.send(method, target)
    assert (reply.status, reply.json()) == (404, {"message": "Not Found"})


@pytest.mark.parametrize("target", ["/echo", "/files/a", "/nothing"])
@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "X-1!#$"])
def test_a_method_that_no_route_can_have_is_not_found(client: Client, method: str, target: str) -> None:
    reply = client.send(method, target)
    assert (reply.status, reply.json()) == (404, {"message": "Not Found"})
    assert client.access_log[-1].startswith(f"{method} {target} 404 ")


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:3000", "[::1", ""])
def test_a_foreign_host_name_is_forbidden(client: Client, host: str) -> None:
    reply = client.send("GET", "/echo", headers=[("Host", host)])
    assert (reply.status, reply.json()) == (403, {"message": "Forbidden"})


def test_the_default_route_takes_what_no_other_takes(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(
        "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n"
        "      Events:\n        Rest: { Type: HttpApi }\n"
        "        One: { Type: HttpApi, Properties: { Method: get, Path: /one } }\n",
        encoding="utf-8",
    )
    api = read_template(template)
    keys = [found[0].key for found in (api.find("GET", "/one"), api.find("GET", "/two")) if found]
    assert keys == ["GET /one", "$default"]
    assert api.functions["F"] == Function("F", "a.b", timeout_seconds=3, memory_mb=128)


@pytest.mark.parametrize("text", ["", "Resources: {F: {Type: AWS::Serverless::Function, Properties: {}}}", "a: [", "1"])
def test_an_invalid_template_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(text, encoding="utf-8")
    with pytest.raises(TemplateError, match=r"^template\.yaml "):
        read_template(template)


def test_a_missing_template_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"^template\.yaml "):
        read_template(tmp_path / "template.yaml")


@pytest.fixture(scope="module")
def real_api() -> Api:
    return read_template(ROOT / "template.yaml")


def test_the_real_template_has_the_routes_of_the_contract(real_api: Api) -> None:
    assert sorted(route.key for route in real_api.routes) == [
        "DELETE /account",
        "DELETE /conversations",
        "DELETE /conversations/{id}",
        "DELETE /mcp",
        "DELETE /messages/{id}/feedback",
        "DELETE /tasks/{id}",
        "DELETE /turns/{id}",
        "GET /.well-known/oauth-protected-resource",
        "GET /.well-known/oauth-protected-resource/mcp",
        "GET /conversations",
        "GET /conversations/{id}",
        "GET /conversations/{id}/messages",
        "GET /export",
        "GET /mcp",
        "GET /tasks",
        "GET /tasks/{id}",
        "GET /turns/{id}",
        "GET /usage",
        "PATCH /conversations/{id}",
        "PATCH /tasks/{id}",
        "POST /chat",
        "POST /mcp",
        "POST /tasks",
        "POST /turns/{id}/undo",
        "PUT /messages/{id}/feedback",
    ]


def test_only_the_metadata_routes_of_the_template_are_public(real_api: Api) -> None:
    public = [route.path for route in real_api.routes if not route.needs_token]
    assert sorted(public) == ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]


def test_without_a_token_the_caller_is_me(client: Client) -> None:
    jwt = client.event("GET", "/echo")["requestContext"]["authorizer"]["jwt"]
    assert (jwt["claims"]["iss"], jwt["claims"]["sub"], jwt["scopes"]) == (ISSUER, "me", None)
    assert all(isinstance(value, str) for value in jwt["claims"].values())


@pytest.mark.parametrize(
    ("authorization", "name"), [("Bearer local:ann", "ann"), ("bearer  local:Ann@example.org", "Ann@example.org")]
)
def test_a_local_token_signs_in_as_its_name(client: Client, authorization: str, name: str) -> None:
    event = client.event("GET", "/echo", [("Authorization", authorization)])
    assert event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] == name
    assert event["headers"]["authorization"] == authorization.strip()


@pytest.mark.parametrize(
    "authorization",
    ["Bearer eyJhbGciOiJSUzI1NiJ9.e30.x", "Bearer local:", "Bearer local:a b", "Basic bWU6", "local:ann", "", "Bearer"],
)
def test_any_other_token_is_unauthorized(client: Client, authorization: str) -> None:
    reply = client.send("GET", "/echo", [("Authorization", authorization)])
    assert (reply.status, reply.json()) == (401, {"message": "Unauthorized"})
    assert reply.header("www-authenticate") == "Bearer"


def test_a_route_that_needs_no_token_has_no_authorizer(client: Client) -> None:
    event = client.event("GET", "/public", [("Authorization", "Bearer nonsense")])
    assert "authorizer" not in event["requestContext"]
