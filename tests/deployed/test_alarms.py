"""Each alarm watches a metric that really is written, shown by causing the failures that it is for."""

import json
from collections.abc import Mapping
from contextlib import contextmanager
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deployed.conftest import PEOPLE, STACK, Account

ANN, _ = PEOPLE
Metric = tuple[str, str, frozenset[tuple[str, str]]]
API_GATEWAY = {"4xx", "5xx", "Count", "IntegrationLatency", "Latency", "DataProcessed"}
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html"""
LAMBDA_DOCUMENTED = {"ClaimedAccountConcurrency", "ConcurrentExecutions"}
"""https://docs.aws.amazon.com/lambda/latest/dg/monitoring-concurrency.html"""


def written(account: Account) -> set[Metric]:
    """Return the metrics in the log lines of the functions (CloudWatch's embedded metric format)."""
    found: set[Metric] = set()
    for name in ("chat", "conversations", "mcp"):
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


@contextmanager
def changed_secret(account: Account, name: str, value: str | None) -> Iterator[None]:
    """Give a secret another value, or none that can be read, within the block; functions start anew."""
    secrets = account.client("secretsmanager")
    kept = secrets.get_secret_value(SecretId=name)["SecretString"]
    if value is None:
        secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    else:
        secrets.put_secret_value(SecretId=name, SecretString=value)
    account.kill_functions()
    try:
        yield
    finally:
        account.put_secret(name, kept)
        account.kill_functions()


@pytest.fixture(scope="module")
def failed(released: Account, closed_port: int) -> Account:
    """Return the account after a failure of each kind."""
    url = f"postgresql://nobody@127.0.0.1:{closed_port}/none"
    name = released.parameters.get("DatabaseUrlSecret", "taskchat/dev/database-url")
    with changed_secret(released, name, url):
        released.answers = [
            released.call("GET", "/conversations", ANN),
            released.call("POST", "/chat", ANN, {"message": "hello"}),
        ]
    with changed_secret(released, name, None):
        released.answers.append(released.call("GET", "/conversations", ANN))
    assert released.call("GET", "/conversations", ANN).status == 200
    return released
