"""Servers on the loopback interface, and the programs of others to test them with."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.gateway.server import Gateway
from local.gateway.template import read_template
from tests.conformance.node import BIN, environment, is_installed

ROOT = Path(__file__).parents[2]
LONGEST_RUN_SECONDS = 240

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker, and skip them where Node is not installed."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("conformance"))
            if not is_installed():
                item.add_marker(
                    pytest.mark.skip("Node 22 and the conformance suite are not installed: `make conformance` does it")
                )


@pytest.fixture(scope="module")
def taskchat_url(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[str]:
    """Return the URL of Taskchat's own MCP function, behind the local gateway."""
    folder = tmp_path_factory.mktemp("taskchat")
    database = folder / "taskchat.sqlite3"
    database.write_bytes(sqlite_template.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"sqlite:///{database}")
        yield from _served(ROOT / "template.yaml", folder)


@pytest.fixture(scope="module")
def fixture_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of the fixture server, behind the same gateway."""
    yield from _served(Path(__file__).parent / "template.yaml", tmp_path_factory.mktemp("fixture"))


def _served(template: Path, folder: Path) -> Iterator[str]:
    with Gateway(read_template(template), log_file=folder / "log", access_log=lambda _line: None) as gateway:
        yield f"{gateway.url}/mcp"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs one of the installed programs, in a folder of this test's own."""

    def run_it(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / program), *arguments],
            cwd=tmp_path,
            env={**environment(), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=LONGEST_RUN_SECONDS,
            check=False,
        )

    return run_it


@pytest.fixture(autouse=True)
def no_function_crashes(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Fail a test during which a function ended in an exception, whatever the suite thinks of the answer."""
    yield
    complaints = capsys.readouterr().err
    assert "Traceback" not in complaints, complaints
