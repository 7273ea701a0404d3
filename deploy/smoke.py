"""The smoke test, which fails unless every function answers and reaches the database.

API Gateway answers 401 by itself, so a request without a token proves nothing. The smoke test
therefore invokes the functions directly, with events in API Gateway's form, as a person without data.
"""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from deploy import releases, stacks
from deploy.aws import client, explained
from deploy.console import DeployError, note
from deploy.people import test_person, token
from deploy.stage import Stage

SUBJECT = "smoke-test"
"""The `sub` of the person as whom the functions are invoked; a real issuer's are longer."""
NO_CONVERSATION = 2**62
ATTEMPTS = 3
"""A sleeping database may take longer to wake than a function waits."""
METADATA = "/.well-known/oauth-protected-resource"
MCP_VERSION = "2025-11-25"

Answer = tuple[int, Any]


def smoke(stage: Stage) -> None:
    """Check the gateway, then `live` of each function, then one turn if there is a test person.

    Raises:
        DeployError: an answer is not the expected one.
    """
    outputs = stacks.outputs(stage, stage.stack)
    _expect("GET " + METADATA, lambda: _through_gateway(stage, "GET", METADATA), _names_issuer(outputs["Issuer"]))
    for name in releases.functions(stage):
        # The physical name has the logical one in it: taskchat-dev-ChatFunction-AbC.
        logical = next((known for known in _PROBES if known in name), None)
        if logical is None:
            raise DeployError(f"{name} has no probe in the smoke test", "add one to deploy/smoke.py")
        event, is_right = _PROBES[logical]
        _expect(f"{logical}, live", partial(_invoke, stage, name, event(outputs)), is_right)
    person = test_person(stage)
    if person is None:
        note(f"no test person, so no turn was tried: make user STAGE={stage.name} EMAIL=... TEST=yes")
    else:
        _expect(f"POST /chat as {person}", lambda: _turn(stage, person), lambda body: bool(body["response"]))


def _conversations(outputs: Mapping[str, str]) -> dict[str, Any]:
    return _event(outputs, "GET", "/conversations")


def _chat(outputs: Mapping[str, str]) -> dict[str, Any]:
    # Only the database knows that there is no such conversation, and no model is asked.
    return _event(outputs, "POST", "/chat", {"message": "smoke test", "conversation_id": NO_CONVERSATION})


def _tasks(outputs: Mapping[str, str]) -> dict[str, Any]:
    return _event(outputs, "GET", "/tasks")


def _mcp(outputs: Mapping[str, str]) -> dict[str, Any]:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_tasks", "arguments": {}}}
    return _event(outputs, "POST", "/mcp", call)


def _sweep(_outputs: Mapping[str, str]) -> dict[str, Any]:
    # It does what the schedule does every minute.
    return {"action": "sweep"}


_PROBES: Mapping[str, tuple[Callable[[Mapping[str, str]], dict[str, Any]], Callable[[Any], bool]]] = {
    "ChatFunction": (_chat, lambda body: body["code"] == "not-found" and str(NO_CONVERSATION) in body["detail"]),
    "ConversationsFunction": (_conversations, lambda body: isinstance(body["items"], list)),
    "TasksFunction": (_tasks, lambda body: isinstance(body["items"], list)),
    "McpFunction": (_mcp, lambda body: body["result"].get("isError") is not True),
    "WorkerFunction": (_sweep, lambda body: isinstance(body["queued"], int)),
}
"""For each function an event, and a check that its answer needed the database."""


def _names_issuer(issuer: str) -> Callable[[Any], bool]:
    return lambda body: body["authorization_servers"] == [issuer]


def _expect(what: str, ask: Callable[[], Answer], is_right: Callable[[Any], bool]) -> None:
    answer: Answer = (0, None)
    for attempt in range(ATTEMPTS):
        started = time.monotonic()
        answer = ask()
        try:
            right = is_right(answer[1])
        except (KeyError, TypeError, AttributeError):
            right = False
        if right:
            note(f"{what}: {answer[0]} in {time.monotonic() - started:.1f} s")
            return
        if answer[0] not in {0, 500, 502, 503, 504} or attempt == ATTEMPTS - 1:
            break
    raise DeployError(
        f"{what} answers {answer[0]}: {json.dumps(answer[1])[:500]}",
        "the new release serves: look at its log, and go back with make rollback if this is its fault",
    )


def _invoke(stage: Stage, name: str, event: Mapping[str, Any]) -> Answer:
    with explained(f"cannot invoke {name}", "look at the function in Lambda's console"):
        answer = client("lambda", stage.region).invoke(
            FunctionName=name, Qualifier=releases.ALIAS, Payload=json.dumps(event)
        )
        content = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer or not isinstance(content, Mapping):
        return 0, content
    if "statusCode" not in content:
        # The worker has no route, and answers as it is invoked.
        return 200, content
    return int(content["statusCode"]), _parsed(content.get("body") or "")


def _event(outputs: Mapping[str, str], method: str, path: str, body: object = None) -> dict[str, Any]:
    """Return an event of payload format 2.0, as API Gateway sends it after its authorizer."""
    host = urlsplit(outputs["ApiUrl"]).netloc
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "host": host,
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "idempotency-key": str(uuid.uuid4()),
            "mcp-protocol-version": MCP_VERSION,
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "apiId": host.partition(".")[0],
            "domainName": host,
            "authorizer": {"jwt": {"claims": {"iss": outputs["Issuer"], "sub": SUBJECT}, "scopes": None}},
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "t"},
            "requestId": str(uuid.uuid4()),
            "routeKey": f"{method} {path}",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        event["body"] = json.dumps(body)
        event["headers"]["content-length"] = str(len(event["body"]))
    return event


def _turn(stage: Stage, person: str) -> Answer:
    return _through_gateway(stage, "POST", "/chat", {"message": "Say hello. Use no tool."}, token(stage, person))


def _through_gateway(stage: Stage, method: str, path: str, body: object = None, token: str | None = None) -> Answer:
    endpoint = urlsplit(endpoint_of(stage))
    headers = {"Content-Type": "application/json", "Host": endpoint.netloc}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    host = endpoint.netloc
    if (endpoint.hostname or "").endswith(".localhost"):
        # An emulator. Names below .localhost are loopback (RFC 6761, section 6.3), and not every resolver knows it.
        host = f"127.0.0.1:{endpoint.port}"
    request = urllib.request.Request(  # noqa: S310 - API Gateway's own URL
        f"{endpoint.scheme}://{host}{path}",
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers=headers,
    )
    try:
        with urllib.request.urlopen(request, timeout=35) as answer:  # nosec B310 # noqa: S310 - API Gateway's own URL
            return answer.status, _parsed(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _parsed(error.read().decode())
    except OSError as error:
        return 0, str(error)


def endpoint_of(stage: Stage) -> str:
    """Return where the API answers, as API Gateway says."""
    api = stacks.resources(stage, stage.stack)["Api"][1]
    return str(client("apigatewayv2", stage.region).get_api(ApiId=api)["ApiEndpoint"])


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
