"""The built MCP function in Lambda's runtime, behind the local gateway: the official client in both generations."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator
from local.gateway.server import Gateway
from local.gateway.template import Api, read_template
from local.runtime.fleet import Fleet
from local.runtime.instance import Function
from tests.lambda_runtime.conftest import ROOT, StartFunction
from tests.support.mcp_clients import GENERATIONS, run, use_everything


class EmulatedFleet(Fleet):
    """One instance, in the emulator; invocations wait for each other, as in the emulator they must."""

    def __init__(self, function: Function, log_file: Path, emulator: Emulator) -> None:
        super().__init__(function, log_file)
        self._emulator = emulator
        self._executor = ThreadPoolExecutor(max_workers=1)

    def warm_up(self) -> None:
        """Do nothing: the emulator starts its function at the first invocation."""

    def invoke(self, event: Any) -> "Future[Any]":
        """Invoke the built function."""
        return self._executor.submit(self._emulator.invoke, event)

    def stop(self) -> None:
        """Wait for what is under way."""
        self._executor.shutdown()


@pytest.fixture
def gateway(start_function: StartFunction, tmp_path: Path) -> Iterator[Gateway]:
    """Return the local gateway with the routes of the MCP function alone."""
    emulator = start_function("McpFunction", {"MCP_HOSTS": "127.0.0.1:*"})
    api = read_template(ROOT / "template.yaml")
    routes = tuple(route for route in api.routes if route.function.name == "McpFunction")
    with Gateway(
        Api(routes, api.functions, api.cors),
        log_file=tmp_path / "log",
        access_log=lambda _line: None,
        make_fleet=lambda function, log_file: EmulatedFleet(function, log_file, emulator),
    ) as gateway:
        yield gateway


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("mode", GENERATIONS)
def test_a_client_can_use_everything_of_the_built_function(gateway: Gateway, mode: str) -> None:
    run(use_everything, gateway.url, mode)
