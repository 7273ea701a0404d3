"""The templates after the SAM transform, as CloudFormation gets them."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

from local.toolchain import ROOT

FUNCTIONS = ("ChatFunction", "ConversationsFunction", "TasksFunction", "McpFunction", "WorkerFunction")


def transformed(monkeypatch: pytest.MonkeyPatch, path: str = "template.yaml", **parameters: str) -> dict[str, Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    template = yaml_parse((ROOT / path).read_text(encoding="utf-8"))
    for name, resource in template["Resources"].items():
        for key in ("CodeUri", "ContentUri"):
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = f"s3://bucket/{name}"
    return dict(transform(template, parameters, lambda: {}))


def of_type(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def test_prod_moves_traffic_in_steps_and_back_on_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    template = transformed(monkeypatch, ShiftsTraffic="true", TrafficShift="Linear10PercentEvery1Minute")
    groups = of_type(template, "AWS::CodeDeploy::DeploymentGroup")
    aliases = of_type(template, "AWS::Lambda::Alias")

    assert len(groups) == len(aliases) == len(FUNCTIONS)
    for group in groups.values():
        properties = group["Properties"]
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
        watched = [alarm["Name"]["Ref"] for alarm in properties["AlarmConfiguration"]["Alarms"]]
        assert watched == ["ErrorsAlarm", "InternalErrorsAlarm"]
        assert "Linear10PercentEvery1Minute" in json.dumps(properties["DeploymentConfigName"])
    for alias in aliases.values():
        assert "CodeDeployLambdaAliasUpdate" in alias["UpdatePolicy"]


def test_other_stages_have_nothing_of_codedeploy(monkeypatch: pytest.MonkeyPatch) -> None:
    template = transformed(monkeypatch)

    assert not [name for name, resource in template["Resources"].items() if "CodeDeploy" in resource["Type"]]
    assert not [alias for alias in of_type(template, "AWS::Lambda::Alias").values() if "UpdatePolicy" in alias]


def test_with_an_own_issuer_nothing_of_cognito_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    template = transformed(monkeypatch)
    cognito = [resource for resource in template["Resources"].values() if "Cognito" in resource["Type"]]
    outputs = [output for output in template["Outputs"].values() if re.search("UserPool|Client", json.dumps(output))]

    assert template["Conditions"]["MakesUserPool"] == {"Fn::Equals": [{"Ref": "JwtIssuer"}, ""]}
    assert len(cognito) == 6
    assert {resource["Condition"] for resource in cognito} == {"MakesUserPool"}
    assert all(output.get("Condition") == "MakesUserPool" or "Fn::If" in output["Value"] for output in outputs)


def test_the_clients_of_the_pool_are_public_and_take_codes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = of_type(transformed(monkeypatch), "AWS::Cognito::UserPoolClient")

    assert set(clients) == {"PageClient", "McpClient"}
    for client in clients.values():
        assert client["Properties"]["GenerateSecret"] is False
        assert client["Properties"]["AllowedOAuthFlows"] == ["code"]
        flows = client["Properties"]["ExplicitAuthFlows"]
        assert not {"ALLOW_USER_PASSWORD_AUTH", "ALLOW_CUSTOM_AUTH"} & set(flows)


def test_several_audiences_and_an_optional_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    body = of_type(transformed(monkeypatch), "AWS::ApiGatewayV2::Api")["Api"]["Properties"]["Body"]
    configuration = body["components"]["securitySchemes"]["Jwt"]["x-amazon-apigateway-authorizer"]["jwtConfiguration"]
    scopes = {"Fn::If": ["HasScope", {"Ref": "JwtScope"}, {"Ref": "AWS::NoValue"}]}

    _, of_pool, own = configuration["audience"]["Fn::If"]
    assert of_pool == [{"Ref": "PageClient"}, {"Ref": "McpClient"}]
    assert own == {"Fn::Split": [",", {"Ref": "JwtAudience"}]}
    assert body["paths"]["/chat"]["post"]["security"] == [{"Jwt": [scopes]}]


@pytest.mark.parametrize("path", ["template.yaml", "functions/migrate/template.yaml"])
def test_functions_read_the_secrets_of_their_stage_only(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    template = transformed(monkeypatch, path)
    arns = set(re.findall(r"arn:[^\"]*:secret:[^\"]*", json.dumps(template)))
    prefix = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:taskchat/${Stage}/*"

    assert arns == {prefix}


@pytest.mark.parametrize("path", ["template.yaml", "functions/migrate/template.yaml"])
def test_every_function_has_a_log_group_and_a_level(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    template = transformed(monkeypatch, path)
    groups = of_type(template, "AWS::Logs::LogGroup")

    for function in of_type(template, "AWS::Lambda::Function").values():
        logging = function["Properties"]["LoggingConfig"]
        assert logging["LogGroup"]["Ref"] in groups
        assert logging["ApplicationLogLevel"] == {"Ref": "ApplicationLogLevel"}
        assert function["Properties"]["Architectures"] == [{"Ref": "Architecture"}]
    # Lambda takes a line with metrics for INFO, and would drop it at a higher level.
    assert template["Parameters"]["ApplicationLogLevel"]["AllowedValues"] == ["DEBUG", "INFO"]


def test_personal_data_in_access_logs_is_kept_30_days(monkeypatch: pytest.MonkeyPatch) -> None:
    template = transformed(monkeypatch)
    stage = of_type(template, "AWS::ApiGatewayV2::Stage")["ApiApiGatewayDefaultStage"]["Properties"]
    line = re.sub(r"\$context[.\w]*", "x", stage["AccessLogSettings"]["Format"])

    assert of_type(template, "AWS::Logs::LogGroup")["ApiLogs"]["Properties"]["RetentionInDays"] == 30
    assert {"source_ip", "sub"} <= json.loads(line).keys()


def test_the_dashboard_is_json_and_shows_what_an_operator_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    text = of_type(transformed(monkeypatch), "AWS::CloudWatch::Dashboard")["Dashboard"]["Properties"]["DashboardBody"]
    body = json.loads(re.sub(r"\$\{[^!}]+\}", "name", text["Fn::Sub"]).replace("${!", "${"))

    titles = {widget["properties"]["title"] for widget in body["widgets"]}
    assert {"Turns", "Tokens", "Problems by code", "Where a turn's time goes", "Concurrency"} <= titles
    places = [(widget["x"], widget["y"]) for widget in body["widgets"]]
    assert len(set(places)) == len(places)
