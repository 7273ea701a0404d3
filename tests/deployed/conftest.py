"""The verbs of deployment on an emulated AWS account: no Docker, loopback only, a real PostgreSQL behind the functions.

All of it is one xdist group and one account. A module leaves the stage `dev` as it found it, so they run in any order.
"""

import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from sqlalchemy import URL

from local.cloud.server import REGION, Cloud, cloud
from local.lambda_events import http_event
from local.model.server import offline_model
from local.postgres import postgres_database
from local.toolchain import ROOT
from tests.support.built import built_once

STACK = "taskchat-dev"
HTTP_TIMEOUT_SECONDS = 15
"""Half of the template's, so that a test of an outage waits half as long."""
VERB_SECONDS = 180
"""Ten times what a release takes here. A verb itself waits for AWS without an end, and says what it waits for."""
KILL_SECONDS = 30
PEOPLE = ("ann@example.com", "bob@example.com")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker, and off machines that cannot run what Lambda runs."""
    elsewhere = (sys.platform, platform.machine()) != ("linux", "x86_64")
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("deployed"))
            if elsewhere:
                item.add_marker(pytest.mark.skip("the functions are built for Linux on x86_64"))


@dataclass(frozen=True)
class Run:
    """A verb that ended."""

    status: int
    output: str

    @property
    def steps(self) -> list[str]:
        """Return the steps that it told of."""
        return [line.removeprefix("\u25b8 ") for line in self.output.splitlines() if line.startswith("\u25b8 ")]


@dataclass(frozen=True)
class Response:
    """An answer of API Gateway."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Account:
    """An emulated account, and a checkout to deploy to it from: a build that tests may change, and its settings."""

    cloud: Cloud
    folder: Path
    build: Path
    parameters: dict[str, str]
    stage: str = "dev"
    tokens: dict[str, str] = field(default_factory=dict)
    functions: tuple[str, ...] = (
        "ChatFunction",
        "ConversationsFunction",
        "TasksFunction",
        "McpFunction",
        "WorkerFunction",
    )
    first: Run = field(default=Run(1, ""))
    """The first release."""
    original: dict[Path, str | None] = field(default_factory=dict)
    """The content of each file of the build that a test changed; None for one that was not there."""

    @property
    def stack(self) -> str:
        return f"taskchat-{self.stage}"

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.cloud.url,
            region_name=REGION,
            aws_access_key_id=self.cloud.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.cloud.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def run(self, verb: str, *options: str, **environment: str) -> Run:
        """Run a verb as `make` does."""
        config = self.folder / "samconfig.toml"
        section = "default" if self.stage == "dev" else self.stage
        overrides = json.dumps([f"{name}={value}" for name, value in self.parameters.items()])
        config.write_text(
            f'[{section}.global.parameters]\nstack_name = "{self.stack}"\nregion = "{REGION}"\n'
            f'[{section}.deploy.parameters]\ntags = ["project=taskchat"]\nparameter_overrides = {overrides}\n'
        )
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        ended = subprocess.run(
            [sys.executable, "-m", "deploy", verb, self.stage, "--config", config, *options],
            cwd=ROOT,
            env=kept | dict(self.cloud.environment) | {"POLL_SECONDS": "0.2"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=VERB_SECONDS,
        )
        return Run(ended.returncode, ended.stdout)

    def release(self) -> Run:
        return self.run("release", "--built", str(self.build))

    def deploy(self) -> Run:
        """Release, and fail the test where that fails."""
        run = self.release()
        assert run.status == 0, run.output + self.cloud.log.read_text()[-3000:]
        return run

    def output(self, key: str) -> str:
        stack = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"][0]
        return next(str(each["OutputValue"]) for each in stack["Outputs"] if each["OutputKey"] == key)

    def resources(self) -> dict[str, str]:
        found = self.client("cloudformation").describe_stack_resources(StackName=self.stack)["StackResources"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    def live(self, function: str) -> dict[str, Any]:
        """Return the configuration of the version that serves."""
        name = self.resources()[function]
        live: dict[str, Any] = self.client("lambda").get_function_configuration(FunctionName=name, Qualifier="live")
        return live

    def versions(self) -> dict[str, str]:
        """Return the version of each function that serves."""
        return {name: self.live(name)["Version"] for name in self.functions}

    def published(self, function: str) -> set[str]:
        """Return the versions of a function that exist."""
        name = self.resources()[function]
        versions = self.client("lambda").list_versions_by_function(FunctionName=name)["Versions"]
        return {version["Version"] for version in versions} - {"$LATEST"}

    def invoke_version(self, function: str, version: str) -> Any:
        """Invoke a version of a function, past the gateway, with a request for the conversations."""
        answer = self.client("lambda").invoke(
            FunctionName=self.resources()[function],
            Qualifier=version,
            Payload=json.dumps(http_event("GET", "/conversations")),
        )
        return json.loads(answer["Payload"].read())

    def invoke_migrate(self, event: Mapping[str, Any]) -> Any:
        answer = self.client("lambda").invoke(FunctionName=f"{self.stack}-migrate", Payload=json.dumps(event))
        return json.loads(answer["Payload"].read())

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in the build, in each file of both stacks that has it, as a change of the source would."""
        changed = [file for file in self.build.glob(f"*/{path}") if old in file.read_text()]
        assert changed, f"no {old!r} in {path}"
        for file in changed:
            self.write(file, file.read_text().replace(old, new))

    def write(self, file: Path, content: str) -> None:
        """Write a file of the build, until `restore`."""
        self.original.setdefault(file, file.read_text() if file.exists() else None)
        file.write_text(content)
        if file.suffix == ".py":
            # The bytecode of the build is used without a look at the source.
            Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)

    def restore(self) -> None:
        """Put back the files of the build."""
        for file, content in self.original.items():
            if content is None:
                file.unlink()
            else:
                file.write_text(content)
        self.original.clear()

    def put_secret(self, name: str, value: str) -> None:
        secrets = self.client("secretsmanager")
        try:
            secrets.put_secret_value(SecretId=name, SecretString=value)
        except secrets.exceptions.ResourceNotFoundException:
            secrets.create_secret(Name=name, SecretString=value)

    def kill_functions(self) -> None:
        """End the processes of all functions, as Lambda ends idle instances: the next ones know no secret."""
        children = Path(f"/proc/{self.cloud.process_id}/task").glob("*/children")
        killed = {int(text) for file in children for text in file.read_text().split()}
        for process_id in killed:
            with suppress(ProcessLookupError):  # It may have ended by itself.
                os.kill(process_id, signal.SIGKILL)
        end = time.monotonic() + KILL_SECONDS
        while any(_is_running(process_id) for process_id in killed):
            assert time.monotonic() < end, f"of {killed}, some do not end"
            time.sleep(0.01)

    def state(self) -> object:
        """Return all that a release may change."""
        record = self.client("ssm").get_parameter(Name=f"/taskchat/{self.stage}/releases")["Parameter"]
        stacks = self.client("cloudformation").describe_stacks()["Stacks"]
        changed = {stack["StackName"]: str(stack.get("LastUpdatedTime")) for stack in stacks}
        return changed, self.versions(), {name: self.published(name) for name in self.functions}, record["Version"]

    def token(self, person: str) -> str:
        if person not in self.tokens:
            run = self.run("token", "--email", person)
            assert run.status == 0, run.output
            self.tokens[person] = run.output.strip()
        return self.tokens[person]

    def call(self, method: str, path: str, person: str | None = None, body: object = None, **headers: str) -> Response:
        """Send a request through API Gateway."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Host"] = f"{self.resources()['Api']}.execute-api.localhost:{self.cloud.port}"
        if person is not None:
            sent["Authorization"] = f"Bearer {self.token(person)}"
        data = None
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.cloud.url + path, data=data, method=method, headers=sent)  # noqa: S310
        try:
            answer = urllib.request.urlopen(request, timeout=40)  # noqa: S310
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read().decode()
        parsed = json.loads(text) if text.startswith(("{", "[")) else text
        return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, parsed)

    def log(self, group: str) -> list[str]:
        """Return the messages of a log group."""
        logs = self.client("logs")
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
        ]


def _is_running(process_id: int) -> bool:
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture(scope="session")
def database(postgres_server_url: URL) -> Iterator[str]:
    """Return the URL of an empty PostgreSQL database."""
    with postgres_database(postgres_server_url) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def account(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Return an account with the secrets of `dev` in it, and nothing deployed."""
    folder = tmp_path_factory.mktemp("account")
    shutil.copytree(built_once(tmp_path_factory), folder / "build")
    template = folder / "build" / "build" / "template.yaml"
    text = template.read_text()
    template.write_text(text.replace("Timeout: 29", f"Timeout: {HTTP_TIMEOUT_SECONDS}"))
    with offline_model() as model, cloud(folder) as running:
        account = Account(
            running,
            folder,
            folder / "build",
            {
                "OpenAiBaseUrl": f"{model.url}/v1",
                "OpenAiModel": "offline",
                "McpHosts": f"{{apiId}}.execute-api.localhost:{running.port}",
            },
        )
        stored = account.run("secrets", DATABASE_URL=database, DATABASE_URL_UNPOOLED=database, OPENAI_API_KEY="offline")
        assert stored.status == 0, stored.output
        yield account


@pytest.fixture(scope="session")
def released(account: Account) -> Account:
    """Return the account after its first release, with two people."""
    account.first = account.deploy()
    for person in PEOPLE:
        assert account.run("user", "--email", person).status == 0
    return account
