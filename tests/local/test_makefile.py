"""The Makefile in odd shells and odd folders: it makes a whole environment or says why not, and keeps data."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.conftest import ODD_NAME, ROOT

PARTS = ("Makefile", "README.md", "pyproject.toml", "uv.lock", "local", "layers/taskchat")
MAKE = shutil.which("make") or "make"
SHELL = {"PATH": os.environ["PATH"]}
FOREIGN = {
    **{"HOME": "/no/such", "TMPDIR": "/no/such", "CDPATH": "/", "VIRTUAL_ENV": "/no/such", "CONDA_PREFIX": "/no/such"},
    **{"PIP_USER": "1", "PIP_TARGET": "/no/such", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_CONFIG_FILE": "/no/such"},
    **{"UV_PROJECT_ENVIRONMENT": "/no/such", "UV_CACHE_DIR": "/no/such", "UV_CONFIG_FILE": "/no/such"},
    **dict.fromkeys(("UV_NO_DEV", "UV_NO_DEFAULT_GROUPS", "UV_NO_SYNC", "UV_OFFLINE", "UV_NO_INSTALL_PROJECT"), "1"),
    **{"UV_PYTHON": "3.8", "UV_WORKING_DIR": "/", "UV_NO_EDITABLE": "1", "UV_SYSTEM_PYTHON": "1"},
    **{"PYTHONPATH": "/no/such", "PYTHONHOME": "/no/such", "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error"},
    **{"SSL_CERT_FILE": "/no/such/certificates", "LC_ALL": "C"},
}
"""Variables that other projects of a developer may have left in a shell."""

pytestmark = pytest.mark.xdist_group("make environment")


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAKE, *arguments],
        cwd=folder,
        env={**SHELL, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def copy_of_the_project(folder: Path) -> Path:
    """Return a fresh checkout that shares this one's download caches."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    state = folder / ".local"
    (state / "cache").mkdir(parents=True)
    (state / "taskchat.sqlite3").write_text("all tasks", encoding="utf-8")
    (ROOT / ".local" / "cache" / "uv").mkdir(parents=True, exist_ok=True)
    (state / "cache" / "uv").symlink_to(ROOT / ".local" / "cache" / "uv")
    for uv in (ROOT / ".local").glob("uv-*"):
        (state / uv.name).symlink_to(uv)
    return folder


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder that is the workspace of another uv project."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "other"\nversion = "1"\n[tool.uv.workspace]\nmembers = ["*"]\n', encoding="utf-8"
    )
    yield folder
    # An environment is too large to be kept with the results of the last runs.
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made(parent: Path) -> Path:
    """Return a checkout in an odd folder whose environment was made from an odd shell."""
    folder = copy_of_the_project(parent / ODD_NAME)
    result = make(folder, "environment", **FOREIGN)
    assert result.returncode == 0, result.stderr
    assert "SSL_CERT_FILE names /no/such/certificates" in result.stderr
    return folder


def assert_complete(folder: Path) -> None:
    """Check that the environment runs the project of this folder, and the programs of the groups."""
    show = "import alembic, mcp, openai, pytest, taskchat; print(taskchat.__path__[0])"
    shown = subprocess.run([folder / ".venv/bin/python", "-c", show], capture_output=True, text=True, check=True)
    assert Path(shown.stdout.strip()) == folder / "layers/taskchat/taskchat"
    subprocess.run([folder / ".venv/bin/lint-imports", "--help"], stdout=subprocess.DEVNULL, check=True)


def test_an_odd_shell_and_folder_get_a_whole_environment(made: Path) -> None:
    assert_complete(made)


def test_a_complete_environment_is_left_alone(made: Path) -> None:
    result = make(made, "environment")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_an_incomplete_environment_is_completed(made: Path) -> None:
    (package,) = made.glob(".venv/lib/*/site-packages/alembic")
    shutil.rmtree(package)
    for name in package.parent.glob("alembic-*.dist-info"):
        shutil.rmtree(name)

    assert make(made, "environment").returncode == 0

    assert_complete(made)


def test_clean_keeps_the_database(tmp_path: Path) -> None:
    folder = copy_of_the_project(tmp_path / ODD_NAME)
    (folder / ".venv").mkdir()

    assert make(folder, "clean").returncode == 0

    assert [path.name for path in (folder / ".local").iterdir()] == ["taskchat.sqlite3"]
    assert not (folder / ".venv").exists()
    # The caches were links to those of this checkout.
    assert list((ROOT / ".local").glob("uv-*/bin/uv"))


def test_only_delete_database_deletes_the_database(tmp_path: Path) -> None:
    folder = copy_of_the_project(tmp_path / ODD_NAME)

    assert make(folder, "delete-database").returncode == 0

    assert not (folder / ".local" / "taskchat.sqlite3").exists()


def test_clean_needs_nothing_to_clean(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    assert make(tmp_path, "clean").returncode == 0


def test_a_python_that_does_not_run_is_passed_over(made: Path, tmp_path: Path) -> None:
    # A pyenv shim fails like this if its version is not selected.
    shim = tmp_path / "python3"
    shim.write_text("#!/bin/sh\necho 'version is not installed' >&2\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)

    result = make(made, "environment", PATH=f"{tmp_path}:{SHELL['PATH']}:/usr/bin", PYTHON="")

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("name", ["a\nb", "a\u2028b", b"\xff".decode(errors="surrogateescape")])
def test_a_path_that_cannot_work_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    folder = copy_of_the_project(tmp_path / name)
    result = make(folder, "environment")
    assert result.returncode == 2
    first, *_ = result.stderr.splitlines()
    assert re.fullmatch(r"taskchat: the path of this folder .*; move or rename the folder", first)


def test_help_lists_every_verb() -> None:
    verbs = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    parts = {verb for verb in verbs if verb.startswith("lint-")}
    shown = make(ROOT, "help").stdout
    listed = re.findall(r"^  make ([a-z-]+) {2,}\S", shown, re.MULTILINE)
    assert set(listed) == set(verbs) - parts - {"help", "environment", ".venv/.ready"}


def test_a_moved_folder_is_noticed_and_keeps_its_data(made: Path, parent: Path) -> None:
    # The last test of this module, because the folder does not move back.
    moved = made.rename(parent / "moved")

    assert make(moved, "environment").returncode == 0

    assert_complete(moved)
    assert (moved / ".local" / "taskchat.sqlite3").read_text(encoding="utf-8") == "all tasks"
