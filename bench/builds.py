"""The packages that cold starts are measured with: this build, the same code as `sam build` makes it, two floors."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from bench.processes import MEGABYTE
from local.emulator import BuiltFunction, built_function
from local.toolchain import ROOT

OURS = "this build"
DEFAULT = "as `sam build` makes it"
DEFAULT_BUT_LAZY = "the same, the SDK entered as in (a)"
BARE = "bare handler"
FASTAPI = "FastAPI + Mangum alone"
MCP_SDK = "FastAPI + Mangum + the MCP SDK"
LEFT_OUT = (("DependenciesLayer/python", "pydantic", "v1"), ("McpFunction", "uvicorn", ""))
"""What this build does not ship: where it would be, the package, and the part of it."""
ENTER_WITH_INIT = """

def enter_without_init(packages):
    pass
"""
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


MCP_HANDLER = f"""
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
{FASTAPI_HANDLER}"""


def build(folder: Path) -> Path:
    """Run `sam build` and return where it put things."""
    target = folder / "build"
    without_aws = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "samcli", "build", "--build-dir", str(target)]
    variables = without_aws | {"SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}
    subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True)
    return target


def default_build(ours: Path, *, lazy: bool = False) -> Path:
    """Return a copy as SAM's own Python builder would leave it.

    No bytecode, whole packages, and every import at the top of its module; `lazy` enters packages as this build does.
    """
    target = ours.with_name("default-but-lazy" if lazy else "default")
    shutil.copytree(ours, target, ignore=shutil.ignore_patterns("__pycache__"))
    for part, package, below in LEFT_OUT:
        found = find_spec(package)
        assert found is not None
        assert found.origin is not None
        source = Path(found.origin).parent / below
        shutil.copytree(source, target / part / package / below, ignore=shutil.ignore_patterns("__pycache__"))
    if not lazy:
        with (target / "TaskchatLayer/python/taskchat/lazy_packages.py").open("a", encoding="utf-8") as file:
            file.write(ENTER_WITH_INIT)
    for own in (*target.glob("*/functions"), target / "TaskchatLayer" / "python" / "taskchat"):
        for module in own.rglob("*.py"):
            import_early(module)
    return target


def import_early(module: Path) -> None:
    """Import at start what the module would import at the first use."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    late = [
        ast.unparse(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    with module.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in late)


def changed(ours: Path, function: str, copy: str, changes: Mapping[str, str]) -> BuiltFunction:
    """Return a copy of a function of this build with lines of its `app.py` replaced by others, compiled."""
    known = built_function(function, ours)
    package = ours.with_name(copy)
    shutil.copytree(known.package, package)
    [module] = package.glob("functions/*/app.py")
    text = module.read_text(encoding="utf-8")
    for line, other in changes.items():
        assert line in text, line
        text = text.replace(line, other)
    module.write_text(text, encoding="utf-8")
    mode = ["--invalidation-mode", "unchecked-hash"]
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-f", *mode, str(module)], check=True)
    return replace(known, package=package)


def floors(ours: Path) -> Mapping[str, BuiltFunction]:
    """Return what no function can be faster than: nothing at all, the framework, and the framework with the MCP SDK."""
    known = built_function("ConversationsFunction", ours)
    layers = [layer for layer in known.layers if layer.name == "DependenciesLayer"]
    sdk = built_function("McpFunction", ours).package
    packages: dict[str, BuiltFunction] = {}
    for name, source in ((BARE, BARE_HANDLER), (FASTAPI, FASTAPI_HANDLER), (MCP_SDK, MCP_HANDLER)):
        package = ours.with_name(f"floor-{len(packages)}")
        if name == MCP_SDK:
            shutil.copytree(sdk, package, ignore=shutil.ignore_patterns("functions"))
        package.mkdir(exist_ok=True)
        (package / "floor.py").write_text(source)
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(package / "floor.py")], check=True)
        used = [] if name == BARE else layers
        packages[name] = replace(known, handler="floor.handler", package=package, layers=used)
    return packages


def size_mb(function: BuiltFunction) -> float:
    """Return the size of what is deployed, unpacked, layers included."""
    return sum(path.stat().st_size for path in _files(function)) / MEGABYTE


def _files(function: BuiltFunction) -> Iterator[Path]:
    for folder in (function.package, *function.layers):
        yield from (path for path in folder.rglob("*") if path.is_file())
