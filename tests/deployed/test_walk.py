"""The README's deployment section, from the first release on, as people then use the API."""

import json
import time
from typing import Any

from local.toolchain import ROOT
from tests.deployed.conftest import PEOPLE, Account

ANN, BOB = PEOPLE
LONGEST_TURN_SECONDS = 60.0
MCP = {"Accept": "application/json, text/event-stream", "MCP_Protocol_Version": "2025-11-25"}


def call_tool(account: Account, person: str, name: str, arguments: dict[str, Any]) -> Any:
    params = {"name": name, "arguments": arguments}
    answer = account.call(
        "POST", "/mcp", person, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, **MCP
    )
    assert answer.status == 200, answer.body
    return answer.body["result"]


def test_a_release_tells_its_steps(released: Account) -> None:
    steps = [step.partition(",")[0] for step in released.first.steps]

    assert steps[2:-1] == [
        "deploying the migrations",
        "migrating the database",
        "deploying the API",
        "telling the user pool where the page is",
        "uploading the page",
        "smoke test",
        "recording the release",
    ]
    assert steps[-1].startswith("release ")


def test_every_function_serves_the_same_release(released: Account) -> None:
    assert len({released.live(name)["Environment"]["Variables"]["RELEASE"] for name in released.functions}) == 1
    assert {released.live(name)["State"] for name in released.functions} == {"Active"}


def test_a_person_without_a_valid_token_is_refused(released: Account) -> None:
    forged = released.token(ANN)[:-8] + "AAAAAAAA"

    assert released.call("GET", "/conversations").status == 401
    assert released.call("GET", "/conversations", Authorization=f"Bearer {forged}").status == 401


def test_a_turn_is_answered_and_replayed(released: Account) -> None:
    first = released.call("POST", "/chat", ANN, {"message": "Add a task to buy milk"}, Idempotency_Key="walk")
    again = released.call("POST", "/chat", ANN, {"message": "Add a task to buy milk"}, Idempotency_Key="walk")

    assert first.status == 200, first.body
    assert first.body["tool_calls"], first.body
    assert first.body["tool_calls"][0]["tool"] == "create_task"
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["idempotent-replayed"] == "true"


def test_a_turn_goes_on_without_its_client(released: Account) -> None:
    accepted = released.call("POST", "/chat", ANN, {"message": "Add a task to rest"}, Prefer="respond-async")
    # The worker may have taken it already.
    assert (accepted.status, accepted.body["status"] in {"queued", "running"}) == (202, True), accepted.body

    turn = accepted
    deadline = time.monotonic() + LONGEST_TURN_SECONDS
    while turn.body["status"] in {"queued", "running"} and time.monotonic() < deadline:
        time.sleep(0.1)
        turn = released.call("GET", accepted.headers["location"], ANN)
    assert turn.body["status"] == "finished", turn.body
    assert turn.body["tool_calls"][0]["tool"] == "create_task"
    assert released.call("DELETE", accepted.headers["location"], ANN).body["code"] == "turn-finished"
    assert released.call("GET", accepted.headers["location"], BOB).status == 404


def test_the_schedule_sweeps_every_minute(released: Account) -> None:
    events = released.client("events")
    (rule,) = events.list_rules()["Rules"]
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")

    swept = released.client("lambda").invoke(FunctionName=target["Arn"], Payload=target["Input"])
    assert json.loads(swept["Payload"].read()) == {"queued": 0}


def test_two_people_do_not_see_each_other(released: Account) -> None:
    released.call("POST", "/chat", ANN, {"message": "Add a task to call mum"})

    assert released.call("GET", "/conversations", ANN).body["items"]
    assert released.call("GET", "/conversations", BOB).body["items"] == []
    assert call_tool(released, BOB, "list_tasks", {})["structuredContent"]["tasks"] == []


def test_an_mcp_client_finds_the_issuer_and_calls_tools(released: Account) -> None:
    metadata = released.call("GET", "/.well-known/oauth-protected-resource/mcp")
    created = call_tool(released, ANN, "create_task", {"title": "Water the plants"})
    listed = call_tool(released, ANN, "list_tasks", {})

    assert metadata.body["authorization_servers"] == [released.output("Issuer")]
    assert created["structuredContent"]["title"] == "Water the plants"
    assert "Water the plants" in [task["title"] for task in listed["structuredContent"]["tasks"]]


def test_a_browser_may_call_from_the_allowed_origin(released: Account) -> None:
    def preflight(origin: str) -> Any:
        return released.call("OPTIONS", "/chat", Origin=origin, Access_Control_Request_Method="POST")

    assert preflight("http://localhost:3000").headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "access-control-allow-origin" not in preflight("https://elsewhere.example").headers


def test_a_person_is_invited_once(released: Account) -> None:
    # She signs in, which confirms her.
    released.token(ANN)
    again = released.run("user", "--email", ANN)

    assert (again.status, again.steps[0]) == (0, f"{ANN} is there already (CONFIRMED)")


def test_only_people_of_the_pool_get_a_token(released: Account) -> None:
    refused = released.run("token", "--email", "stranger@example.com")
    wrong = released.run("token", "--email", ANN, PASSWORD="wrong")

    assert (refused.status, wrong.status) == (1, 1)
    assert "make user STAGE=dev EMAIL=stranger@example.com" in refused.output
    assert "cannot sign in" in wrong.output


def test_the_page_is_in_its_bucket_and_signs_in(released: Account) -> None:
    s3, bucket = released.client("s3"), released.output("PageBucketName")
    config = json.loads(s3.get_object(Bucket=bucket, Key="config.json")["Body"].read())
    document = s3.get_object(Bucket=bucket, Key="index.html")
    client = released.client("cognito-idp").describe_user_pool_client(
        UserPoolId=released.output("UserPoolId"), ClientId=released.output("PageClientId")
    )["UserPoolClient"]

    assert config == {
        "sign_in": "openid",
        "issuer": released.output("Issuer"),
        "client_id": released.output("PageClientId"),
    }
    assert document["ContentType"] == "text/html; charset=utf-8"
    assert document["CacheControl"] == "no-cache"
    assert document["Body"].read() == (ROOT / "web" / "index.html").read_bytes()
    assert released.output("PageUrl") in client["CallbackURLs"]
