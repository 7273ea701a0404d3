"""Run a built function in Lambda's own Runtime Interface Emulator, without Docker.

The emulator comes with the SAM CLI, the runtime client is `awslambdaric`. What the function sees is what Lambda
shows it: its package as the working directory, the layers as one `python` folder on `PYTHONPATH`, the runtime's own
packages after them, the variables of the template, and no other package of this machine.
"""

import hashlib
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from local.gateway.template_yaml import load
from local.toolchain import LAMBDA_PYTHON, ROOT, TOOLS, install, interpreter_or_install

BUILD = ROOT / ".aws-sam" / "build"
HOST = "127.0.0.1"
START_SECONDS = 10
PSEUDO_PARAMETERS = {
    "AWS::StackName": "taskchat-local",
    "AWS::Region": "eu-central-1",
    "AWS::URLSuffix": "amazonaws.com",
}
RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
RUNTIME_SDK = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")


class EmulatorError(Exception):
    """Raised when there is nothing to run, or the emulator does not start."""


@dataclass(frozen=True)
class BuiltFunction:
    """A function as `sam build` left it; `environment` holds the template's values that are known before deploying."""

    name: str
    handler: str
    package: Path
    layers: Sequence[Path]
    timeout_seconds: int
    memory_mb: int
    environment: Mapping[str, str]


class Emulator:
    """A running function. It initialises at the first invocation, as a cold start does.

    `process_id` is the emulator's; the function runs in a child of it.
    """

    def __init__(self, url: str, log_path: Path, process_id: int) -> None:
        self._url = url
        self._log_path = log_path
        self.process_id = process_id

    def invoke(self, event: object) -> Any:
        """Send one event and return the answer; a failed one is `{"errorType": …, "errorMessage": …}`, as in Lambda."""
        request = urllib.request.Request(self._url, data=json.dumps(event).encode(), method="POST")  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            content = answer.read().decode()
        try:
            return json.loads(content) if content else None
        except json.JSONDecodeError:
            # The emulator reports a time-out and a crash of the process in plain words.
            return {"errorType": "Emulator", "errorMessage": content}

    def log(self) -> str:
        """Return everything that the function and the emulator have written."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def init_ms(self) -> float:
        """Return how long the cold start took, in milliseconds; the REPORT line's `Init Duration` is wrong."""
        report = re.search(r"INIT REPORT\(durationMs: ([\d.]+)", self.log())
        if report is None:
            raise EmulatorError("not invoked yet: no INIT REPORT in the log")
        return float(report[1])


def built_function(name: str, build: Path = BUILD) -> BuiltFunction:
    """Read a function from the template that `sam build` wrote.

    Raises:
        EmulatorError: nothing is built there, or no function of this name.
    """
    path = build / "template.yaml"
    if not path.exists():
        raise EmulatorError(f"nothing is built in {build}: run `make build`")
    template = load(path.read_text(encoding="utf-8"))
    functions = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    if name not in functions:
        raise EmulatorError(f"no function {name}; there are {', '.join(sorted(functions))}")
    shared, own = template["Globals"]["Function"], functions[name]["Properties"]
    variables = {**_variables(shared), **_variables(own)}
    layers = [template["Resources"][layer["Ref"]]["Properties"]["ContentUri"] for layer in shared["Layers"]]
    return BuiltFunction(
        name=name,
        handler=own["Handler"],
        package=(build / own["CodeUri"]).resolve(),
        layers=[(build / layer).resolve() for layer in layers],
        timeout_seconds=own["Timeout"],
        memory_mb=own["MemorySize"],
        environment={variable: _value(given, template.get("Parameters", {})) for variable, given in variables.items()},
    )


@contextmanager
def start(
    function: BuiltFunction, environment: Mapping[str, str], python_version: str = LAMBDA_PYTHON
) -> Iterator[Emulator]:
    """Start a function with these variables beside those of its template, and stop it at the end.

    `python_version` is what it was built for. Such an interpreter is looked for, and fetched where there is none.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise EmulatorError("the functions are built for Linux on x86_64, and run nowhere else")
    python = interpreter_or_install(python_version)
    with tempfile.TemporaryDirectory(prefix="taskchat-lambda-") as folder:
        opt = _merge_layers(function.layers, Path(folder) / "opt" / "python")
        runtime = _runtime_packages(python, python_version)
        port, api_port = _free_ports(2)
        command = [
            _emulator_binary(),
            *("--runtime-interface-emulator-address", f"{HOST}:{port}"),
            *("--runtime-api-address", f"{HOST}:{api_port}"),
            # Without `-S` the packages of the interpreter would be there, which they are not in Lambda.
            *(python, "-S", "-m", "awslambdaric", function.handler),
        ]
        log_path = Path(folder) / "log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=function.package,
                env={
                    **_lambda_variables(function, opt, runtime),
                    "AWS_EXECUTION_ENV": f"AWS_Lambda_python{python_version}",
                    **function.environment,
                    **environment,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_for(port, process)
            yield Emulator(f"http://{HOST}:{port}/2015-03-31/functions/function/invocations", log_path, process.pid)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _lambda_variables(function: BuiltFunction, opt: Path, runtime: Path) -> dict[str, str]:
    """Return what Lambda itself sets, and nothing of this process's own environment."""
    return {
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": f"{opt}:{runtime}",
        "LAMBDA_TASK_ROOT": str(function.package),
        "AWS_REGION": PSEUDO_PARAMETERS["AWS::Region"],
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout_seconds),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }


def _merge_layers(layers: Sequence[Path], target: Path) -> Path:
    target.mkdir(parents=True)
    for layer in layers:
        for entry in (layer / "python").iterdir():
            (target / entry.name).symlink_to(entry)
    return target


def _runtime_packages(python: str, python_version: str) -> Path:
    """Return a folder with what the runtime brings, its client and the AWS SDK, compiled as there; made once."""
    exactly = [f"{name}=={version(name)}" for name in (*RUNTIME_CLIENT, *RUNTIME_SDK)]
    digest = hashlib.sha256(" ".join(exactly).encode()).hexdigest()[:12]
    home = TOOLS / f"runtime-python{python_version}-{digest}"
    if not home.exists():
        TOOLS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
            target = Path(scratch) / home.name
            install(target, python_version, *exactly)
            subprocess.run([python, "-I", "-m", "compileall", "-q", "-j", "0", str(target)], check=True)
            if not home.exists():
                target.rename(home)
    return home


def _emulator_binary() -> str:
    samcli = find_spec("samcli")
    if samcli is None or samcli.origin is None:
        raise EmulatorError("the SAM CLI, which brings the emulator, is not installed here")
    return str(Path(samcli.origin).parent / "local" / "rapid" / "aws-lambda-rie-x86_64")


def _variables(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    variables: Mapping[str, Any] = properties.get("Environment", {}).get("Variables", {})
    return variables


def _value(given: Any, parameters: Mapping[str, Any]) -> str:
    if isinstance(given, Mapping) and "Ref" in given:
        return str(parameters[given["Ref"]].get("Default", ""))
    if isinstance(given, Mapping) and "Fn::Join" in given:
        _, listed = given["Fn::Join"]
        return _value(listed, parameters)
    if isinstance(given, Mapping):
        known = PSEUDO_PARAMETERS | {name: str(each.get("Default", "")) for name, each in parameters.items()}
        return re.sub(r"\$\{([\w:]+)\}", lambda found: known[found[1]], given["Fn::Sub"])
    return str(given)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with closing(socket.socket()) as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.02)
    raise EmulatorError("the emulator did not start")
