"""Packages whose cold start is measured: builds of this project, the default build, and two floors."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from bench.checkouts import Checkout
from local.emulator import BuiltFunction, built_function

LEFT_OUT = (("DependenciesLayer/python", "pydantic", "v1"), ("McpFunction", "uvicorn", ""))
"""Parts that our build removes, as in `local.build.NOT_SHIPPED`: folder, package, part of the package."""
BARE_HANDLER = """
def handler(event, context):
    return {"statusCode": 200, "body": "{}"}
"""
FASTAPI_HANDLER = """
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI(openapi_url=None)


@app.get("/conversations")
async def get_conversations() -> dict[str, list[str]]:
    return {"items": []}


handler = Mangum(app, lifespan="off")
"""


def build(checkout: Checkout, target: Path) -> Path:
    """Run `sam build` of a checkout into `target` and return that folder."""
    without_aws = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables = without_aws | {"SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}
    command = [sys.executable, "-m", "samcli", "build", "--build-dir", str(target)]
    subprocess.run(command, cwd=checkout.root, env=variables, check=True, capture_output=True)
    return target


def default_build(ours: Path, target: Path) -> Path:
    """Copy a build into `target` as SAM's own Python builder would make it: no bytecode, whole packages."""
    shutil.copytree(ours, target, ignore=shutil.ignore_patterns("__pycache__"))
    for folder, package, part in LEFT_OUT:
        found = find_spec(package)
        assert found is not None
        assert found.origin is not None
        source = Path(found.origin).parent / part
        shutil.copytree(source, target / folder / package / part, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def floors(ours: Path, folder: Path) -> Mapping[str, BuiltFunction]:
    """Return a handler without imports, and FastAPI with Mangum alone, with the layers of our build."""
    known = built_function("ConversationsFunction", ours)
    layers = [layer for layer in known.layers if layer.name == "DependenciesLayer"]
    packages: dict[str, BuiltFunction] = {}
    for name, source, needed in (("bare handler", BARE_HANDLER, []), ("FastAPI and Mangum", FASTAPI_HANDLER, layers)):
        package = folder / f"floor-{len(packages)}"
        package.mkdir()
        (package / "floor.py").write_text(source)
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(package / "floor.py")], check=True)
        packages[name] = replace(known, handler="floor.handler", package=package, layers=needed)
    return packages
