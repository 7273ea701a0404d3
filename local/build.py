"""Build one function or layer for Lambda into the folder that SAM names; the Makefiles beside the code call it.

`python3 -m local.build PART FOLDER`, from the root of the repository. PART is a layer or the name of a function.

Every source is shipped with bytecode, because Lambda's disk is read-only and every cold start would compile the source
again. The bytecode is `unchecked-hash` (PEP 552): SAM's zip sets the time of every file to 1980, so Python would reject
bytecode with time stamps. The sources stay beside it for tracebacks.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from local.toolchain import LAMBDA_PYTHON, ROOT, ToolchainError, install, interpreter_or_install, run_uv

PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
"""For each architecture of Lambda, uv's name. The `python3.13` runtime, Amazon Linux 2023, has glibc 2.34."""
ARCHITECTURE = os.environ.get("LAMBDA_ARCHITECTURE") or "x86_64"
NOT_SHIPPED = (
    *("bin", ".lock", "*/tests", "*.dist-info/RECORD", "*.dist-info/REQUESTED", "*.dist-info/INSTALLER"),
    # Pydantic 1: FastAPI imports it, if it is there, to tell its models from others.
    "pydantic/v1",
    # An HTTP server, which Lambda does not need: the MCP SDK imports it, if it is there, to hear when it stops.
    "uvicorn",
)


def build(part: str, artifacts: Path) -> None:
    """Build a layer (`dependencies`, `taskchat`) or the function of this name."""
    if part == "dependencies":
        _install(_requirements("--no-default-groups"), artifacts / "python")
        _compile(artifacts, deployed_at="/opt")
    elif part == "taskchat":
        _copy("layers/taskchat/taskchat", artifacts / "python" / "taskchat")
        _compile(artifacts, deployed_at="/opt")
    else:
        _build_function(part, artifacts)


def _build_function(name: str, artifacts: Path) -> None:
    if _has_group(name):
        in_layer = [f"--no-emit-package={package}" for package in _packages(_requirements("--no-default-groups"))]
        _install(_requirements("--only-group", name, *in_layer), artifacts)
    _copy(f"functions/{name}", artifacts / "functions" / name)
    if name == "migrate":
        _copy("migrations", artifacts / "migrations")
    _compile(artifacts, deployed_at="/var/task")


def _has_group(name: str) -> bool:
    return name in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]


def _requirements(*selection: str) -> str:
    """Return the packages of the lock for a selection of groups, each with its hashes."""
    plain = ["--no-emit-project", "--no-annotate", "--no-header", "--quiet"]
    return run_uv("export", "--frozen", *plain, *selection, capture=True)


def _packages(requirements: str) -> list[str]:
    return [line.partition("==")[0] for line in requirements.splitlines() if "==" in line]


def _install(requirements: str, target: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements)
        file.flush()
        for_lambda = ["--python-platform", PLATFORMS[ARCHITECTURE], "--only-binary", ":all:"]
        install(target, LAMBDA_PYTHON, *for_lambda, "--require-hashes", "-r", file.name)
    for pattern in NOT_SHIPPED:
        for path in target.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _copy(source: str, target: Path) -> None:
    left_out = shutil.ignore_patterns("__pycache__", "Makefile", "template.yaml", "*.mako")
    shutil.copytree(ROOT / source, target, ignore=left_out, dirs_exist_ok=True)


def _compile(artifacts: Path, *, deployed_at: str) -> None:
    python = interpreter_or_install(LAMBDA_PYTHON)
    names = ["-s", str(artifacts), "-p", deployed_at]
    command = [python, "-I", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", *names]
    subprocess.run([*command, str(artifacts)], check=True)


def main(arguments: Sequence[str]) -> None:
    """Build the part that the arguments name into the folder that they name."""
    part, folder = arguments
    if not folder:
        sys.exit(f"taskchat: cannot build {part}: no folder is named")
    try:
        build(part, Path(folder).resolve())
    except (ToolchainError, subprocess.CalledProcessError) as error:
        sys.exit(f"taskchat: cannot build {part}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
