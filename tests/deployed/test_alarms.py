"""Each alarm watches a metric that really is written, shown by causing the failures that it is for."""

import json
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.toolchain import ROOT
from taskchat.errors import TaskchatError
from tests.deployed.conftest import PEOPLE, STACK, Account, Response

ANN, _ = PEOPLE
NOT_ALARMED: set[str] = {"usage-limit-reached"}
"""Counted, and no reason to wake anybody: a person's own limit."""
SERVICES = ("chat", "conversations", "tasks", "mcp", "worker")
Metric = tuple[str, str, frozenset[tuple[str, str]]]
API_GATEWAY = {"4xx", "5xx", "Count", "IntegrationLatency", "Latency", "DataProcessed"}
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html"""
SQS_DOCUMENTED = {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"""
LAMBDA_DOCUMENTED = {"ClaimedAccountConcurrency", "ConcurrentExecutions"}
"""https://docs.aws.amazon.com/lambda/latest/dg/monitoring-concurrency.html"""


def written(account: Account) -> set[Metric]:
    """Return the metrics in the log lines of the functions (CloudWatch's embedded metric format)."""
    found: set[Metric] = set()
    for name in SERVICES:
        for line in account.log(f"/taskchat/{STACK}/{name}"):
            if not line.startswith("{") or '"_aws"' not in line:
                continue
            document = json.loads(line)
            for directive in document["_aws"]["CloudWatchMetrics"]:
                for dimensions in directive["Dimensions"]:
                    values = frozenset((each, str(document[each])) for each in dimensions)
                    found |= {(directive["Namespace"], metric["Name"], values) for metric in directive["Metrics"]}
    return found


def watched(account: Account) -> Mapping[str, set[Metric]]:
    """Return the metrics of each alarm of the deployed template, with names in place of references."""
    resources = account.resources()
    template = account.client("cloudformation").get_template(StackName=STACK, TemplateStage="Processed")["TemplateBody"]
    template = json.loads(template) if isinstance(template, str) else template

    def value(given: Any) -> str:
        match given:
            case {"Ref": name}:
                return resources[name]
            case {"Fn::Sub": text}:
                return str(text).replace("${AWS::StackName}", STACK)
        return str(given)

    def metric(given: Mapping[str, Any]) -> Metric:
        dimensions = frozenset((each["Name"], value(each["Value"])) for each in given.get("Dimensions", []))
        return given["Namespace"], given["MetricName"], dimensions

    return {
        name: {metric(each["MetricStat"]["Metric"]) for each in properties["Metrics"] if "MetricStat" in each}
        if "Metrics" in properties
        else {metric(properties)}
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        for properties in [resource["Properties"]]
    }


@pytest.fixture(scope="module")
def failures(released: Account, database: str) -> Mapping[str, Response]:
    """Return answers while the secret of the database is gone, and while the database is."""
    name = "taskchat/dev/database-url"
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed_port = server.getsockname()[1]
    released.client("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    released.kill_functions()
    secret = released.call("GET", "/conversations", ANN)
    released.put_secret(name, f"postgresql://nobody@127.0.0.1:{closed_port}/none")
    # Each is tried again until its time is nearly up.
    with ThreadPoolExecutor() as pool:
        read = pool.submit(released.call, "GET", "/conversations", ANN)
        turn = pool.submit(released.call, "POST", "/chat", ANN, {"message": "hello"})
    released.put_secret(name, database)
    released.kill_functions()
    assert released.call("POST", "/chat", ANN, {"message": "hello"}).status == 200
    return {"read": read.result(), "turn": turn.result(), "secret": secret}


def test_without_its_database_the_api_answers_503(failures: Mapping[str, Response]) -> None:
    assert (failures["read"].status, failures["read"].body["code"]) == (503, "database-unavailable")
    assert (failures["turn"].status, failures["turn"].body["code"]) == (503, "database-unavailable")
    assert int(failures["turn"].headers["retry-after"]) >= 1


def test_without_its_secret_the_api_answers_503(failures: Mapping[str, Response]) -> None:
    assert (failures["secret"].status, failures["secret"].body["code"]) == (503, "secret-unavailable")


@pytest.mark.usefixtures("failures")
@pytest.mark.parametrize("alarm", ["DatabaseUnavailableAlarm", "SecretUnavailableAlarm"])
def test_an_outage_is_written_where_its_alarm_looks(released: Account, alarm: str) -> None:
    assert watched(released)[alarm] & written(released)


@pytest.mark.usefixtures("failures")
def test_every_alarm_on_our_metrics_matches_the_log(released: Account) -> None:
    codes = {error.code for error in TaskchatError.__subclasses__()}
    names = {(namespace, metric, frozenset(dict(values))) for namespace, metric, values in written(released)}
    services = {dict(values)["service"] for _, _, values in written(released)}

    ours = {metric for metrics in watched(released).values() for metric in metrics if metric[0] == "Taskchat"}
    assert {metric for _, metric, _ in ours} == {"Problems", "InputTokens", "OutputTokens"}
    for namespace, metric, values in ours:
        dimensions = dict(values)
        assert (namespace, metric, frozenset(dimensions)) in names
        assert dimensions["service"] in services | {f"{STACK}-{name}" for name in SERVICES}
        assert dimensions.get("code", "internal") in codes


def test_every_alarm_on_aws_metrics_names_one_that_exists(released: Account) -> None:
    exist = {
        (metric["Namespace"], metric["MetricName"], frozenset((d["Name"], d["Value"]) for d in metric["Dimensions"]))
        for metric in released.client("cloudwatch").list_metrics(Namespace="AWS/Lambda")["Metrics"]
    }
    functions = {*released.resources().values(), f"{STACK}-migrate"}

    for metrics in watched(released).values():
        for namespace, metric, values in metrics:
            dimensions = dict(values)
            if namespace == "AWS/Lambda" and metric in LAMBDA_DOCUMENTED:
                assert dimensions.keys() <= {"FunctionName"}
                assert dimensions.get("FunctionName") in functions | {None}
            elif namespace == "AWS/Lambda":
                assert (namespace, metric, values) in exist
            elif namespace == "AWS/SQS":
                assert metric in SQS_DOCUMENTED
            elif namespace == "AWS/ApiGateway":
                assert metric in API_GATEWAY
                assert dimensions["ApiId"] == released.resources()["Api"]
            else:
                assert namespace == "Taskchat"


def test_every_failure_that_is_counted_has_an_alarm(released: Account) -> None:
    counted = {error.code for error in TaskchatError.__subclasses__() if error.status >= 500 or error.status == 429}
    alarmed = {
        dict(values)["code"]
        for metrics in watched(released).values()
        for _, metric, values in metrics
        if metric == "Problems"
    }

    assert counted - NOT_ALARMED == alarmed


def test_every_alarm_tells_the_topic_and_has_a_paragraph(released: Account) -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    topic = released.output("AlarmTopicArn")
    alarms = released.client("cloudwatch").describe_alarms()["MetricAlarms"]

    assert len(alarms) >= 14
    assert all(alarm["AlarmActions"] == [topic] for alarm in alarms)
    for name in watched(released):
        assert f"**`{name}`**" in operations, name
