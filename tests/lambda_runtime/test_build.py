"""The content of the build: each package once, and with bytecode."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lambda_runtime.conftest import FUNCTIONS, ROOT, parts

UNCHECKED_HASH = 0b01
"""PEP 552: hash-based, and the source is not looked at."""
LAYERS = ("DependenciesLayer", "TaskchatLayer")


def bytecode_of(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("part", [*FUNCTIONS, *LAYERS])
def test_every_source_has_unchecked_bytecode(build: Path, part: str) -> None:
    sources = [path for folder in parts(build, part) for path in folder.rglob("*.py")]

    assert sources
    for source in sources:
        header = bytecode_of(source).read_bytes()[:8]
        assert header[:4] == importlib.util.MAGIC_NUMBER, source
        assert int.from_bytes(header[4:], "little") == UNCHECKED_HASH, source


def test_bytecode_names_the_path_where_lambda_puts_the_source(build: Path) -> None:
    in_layer = bytecode_of(build / "build/TaskchatLayer/python/taskchat/errors.py").read_bytes()
    in_function = bytecode_of(build / "build/ChatFunction/functions/chat/app.py").read_bytes()

    assert b"/opt/python/taskchat/errors.py" in in_layer
    assert b"/var/task/functions/chat/app.py" in in_function


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_package_stands_in_a_function_and_in_a_layer(build: Path, function: str) -> None:
    in_layers = {entry.name for name in LAYERS for entry in (parts(build, name)[0] / "python").iterdir()}
    in_function = {entry.name for entry in parts(build, function)[0].iterdir()}

    assert not in_layers & in_function


@pytest.mark.parametrize("part", [*FUNCTIONS, *LAYERS])
def test_runtime_and_developer_packages_are_not_shipped(build: Path, part: str) -> None:
    shipped = {path.name for folder in parts(build, part) for path in folder.rglob("*") if path.is_dir()}

    assert not shipped & {"boto3", "botocore", "pytest", "moto", "samcli", "tests", "local"}


def test_optional_imports_of_libraries_are_not_shipped(build: Path) -> None:
    assert not (build / "build/DependenciesLayer/python/pydantic/v1").exists()
    assert not (build / "build/McpFunction/uvicorn").exists()


def test_each_function_ships_its_own_group_and_its_own_code(build: Path) -> None:
    assert (build / "build/ChatFunction/openai").is_dir()
    assert (build / "build/McpFunction/mcp").is_dir()
    assert (build / "migrate/MigrateFunction/alembic").is_dir()
    assert (build / "migrate/MigrateFunction/migrations/versions").is_dir()
    assert {entry.name for entry in (build / "build/ConversationsFunction").iterdir()} == {"functions"}
    for function in FUNCTIONS:
        name = function.removesuffix("Function").lower()
        assert [entry.name for entry in (parts(build, function)[0] / "functions").iterdir()] == [name]
        assert (parts(build, function)[0] / "functions" / name / "app.py").is_file()


def test_two_builds_are_the_same_byte_for_byte(build: Path, tmp_path: Path, python_version: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "local.build", "migrate", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"LAMBDA_PYTHON": python_version},
        check=True,
    )

    assert tree(tmp_path) == tree(build / "migrate/MigrateFunction")
